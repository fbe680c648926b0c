#include "pod/expand.h"

#include "base/buf.h"

/* Appends what follows a '$': @rest begins behind it and is not empty. Returns the bytes of @rest
 * it used. */
static size_t add_reference(struct buf *out, struct str rest, expand_lookup *lookup,
                            const void *ctx)
{
    if (rest.ptr[0] == '$') {
        buf_add_char(out, '$');
        return 1;
    }
    if (rest.ptr[0] != '(') {
        buf_add_char(out, '$');
        buf_add_char(out, rest.ptr[0]);
        return 1;
    }
    size_t close = str_find(rest, ')');
    if (close == rest.len) {
        buf_add_text(out, "$(");
        return 1;
    }
    struct str name = {.ptr = rest.ptr + 1, .len = close - 1};
    const char *value = lookup(ctx, name);
    if (value) {
        buf_add_text(out, value);
    } else {
        buf_add_text(out, "$(");
        buf_add_str(out, name);
        buf_add_char(out, ')');
    }
    return close + 1;
}

struct error *expand(const char *text, expand_lookup *lookup, const void *ctx, struct arena *arena,
                     const char **ret)
{
    AUTO(buf) struct buf out;
    buf_init(&out, EXPAND_MAX_BYTES);
    struct str rest = str_from(text);
    while (rest.len > 0) {
        size_t dollar = str_find(rest, '$');
        if (dollar + 1 >= rest.len) { /* none, or a lone one at the end, which stays */
            buf_add_str(&out, rest);
            break;
        }
        buf_add(&out, rest.ptr, dollar);
        struct str behind = {.ptr = rest.ptr + dollar + 1, .len = rest.len - dollar - 1};
        size_t used = add_reference(&out, behind, lookup, ctx);
        rest = (struct str){.ptr = behind.ptr + used, .len = behind.len - used};
    }
    struct error *err = buf_error(&out, "an expanded text");
    if (err)
        return err;
    *ret = arena_strndup(arena, buf_text(&out), out.len);
    return NULL;
}

static const char *literal_env(const void *ctx, struct str name)
{
    const Core__Container *container = ctx;
    for (size_t i = container->n_env; i-- > 0;) {
        if (str_eq_c(name, container->env[i]->name) && container->env[i]->value)
            return container->env[i]->value;
    }
    return NULL;
}

struct error *expand_command(const Core__Container *container, const Core__ExecAction *exec,
                             struct arena *arena, char ***ret_words)
{
    char **words = arena_calloc(arena, exec->n_command + 1, sizeof(*words));
    for (size_t i = 0; i < exec->n_command; i++) {
        const char *word;
        struct error *err = expand(exec->command[i], literal_env, container, arena, &word);
        if (err)
            return err;
        words[i] = arena_strdup(arena, word);
    }
    *ret_words = words;
    return NULL;
}
