/*
 * resolv.conf: whatever the file holds, the lists are terminated and made of words without blanks,
 * no option stands twice, and reading what the lists would print gives the same lists.
 */
#include "pod/cri_config.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(const char *const *texts)
{
    for (size_t i = 0; texts[i]; i++) {
        ASSERT(!strpbrk(texts[i], " \t\n\v\f\r"));
        ASSERT(*texts[i]);
    }
}

static void check_equal(const char *const *a, const char *const *b)
{
    size_t i = 0;
    for (; a[i] && b[i]; i++)
        ASSERT(text_eq(a[i], b[i]));
    ASSERT(!a[i] && !b[i]);
}

static size_t name_len(const char *option)
{
    return strcspn(option, ":");
}

static void check_options(const char *const *options)
{
    for (size_t i = 0; options[i]; i++) {
        for (size_t k = 0; k < i; k++)
            ASSERT(name_len(options[i]) != name_len(options[k]) ||
                   memcmp(options[i], options[k], name_len(options[i])) != 0);
    }
}

/* One line per list; a search path that still ends in a dot gets the one that reading takes away.
 */
static void print(const struct resolv_conf *conf, struct buf *out)
{
    for (size_t i = 0; conf->servers[i]; i++)
        buf_printf(out, "nameserver %s\n", conf->servers[i]);
    buf_add_text(out, "search");
    for (size_t i = 0; conf->searches[i]; i++)
        buf_printf(out, " %s.", conf->searches[i]);
    buf_add_text(out, "\noptions");
    for (size_t i = 0; conf->options[i]; i++)
        buf_printf(out, " %s", conf->options[i]);
    buf_add_char(out, '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A NUL would end a word early in C and not in the file. */
    if (size > 4096 || memchr(data, 0, size))
        return 0;
    AUTO(arena) struct arena *arena = arena_new(0);
    struct resolv_conf conf, again;
    AUTO(error)
    struct error *err =
        resolv_conf_parse((struct str){.ptr = (const char *)data, .len = size}, arena, &conf);
    if (err)
        return 0;
    check_words(conf.servers);
    check_words(conf.searches);
    check_words(conf.options);
    check_options(conf.options);
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * KiB);
    print(&conf, &text);
    ASSERT(!text.overflowed);
    AUTO(error) struct error *second = resolv_conf_parse(buf_str(&text), arena, &again);
    ASSERT(!second);
    check_equal(conf.servers, again.servers);
    check_equal(conf.searches, again.searches);
    check_equal(conf.options, again.options);
    return 0;
}
