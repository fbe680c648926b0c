#include "node/facts_parse.h"

#include "kube/quantity.h"

#include <limits.h>
#include <stdlib.h>

#define BYTES_PER_KIB INT64_C(1024)
#define KIB_PER_MIB INT64_C(1024)
#define KIB_PER_GIB (1024 * KIB_PER_MIB)

static bool parse_str(struct str text, int64_t low, int64_t high, int64_t *ret)
{
    AUTO(free) char *number = str_dup(text);
    return parse_i64(number, low, high, ret);
}

bool facts_parse_meminfo(struct str text, const char *key, int64_t *ret_bytes)
{
    struct str rest = text, line;
    size_t key_len = strlen(key);
    while (str_split_next(&rest, '\n', &line)) {
        if (!str_has_prefix(line, key))
            continue;
        struct str value =
            str_trim((struct str){.ptr = line.ptr + key_len, .len = line.len - key_len});
        value.len = str_find(value, ' ');
        int64_t kib;
        if (parse_str(value, 0, INT64_MAX / BYTES_PER_KIB, &kib)) {
            *ret_bytes = kib * BYTES_PER_KIB;
            return true;
        }
    }
    return false;
}

bool facts_parse_number(struct str text, int64_t *ret)
{
    return parse_str(str_trim(text), 0, INT64_MAX, ret);
}

bool facts_has_swap(struct str text)
{
    struct str rest = text, line;
    size_t lines = 0;
    while (str_split_next(&rest, '\n', &line))
        lines += line.len > 0 ? 1 : 0;
    return lines > 1; /* the first one is the heading */
}

/* --- what a system says of itself --- */

const char *facts_parse_os_name(struct str text, struct arena *arena)
{
    static const char key[] = "PRETTY_NAME=";
    size_t key_len = strlen(key);
    struct str rest = text, line;
    while (str_split_next(&rest, '\n', &line)) {
        const char *found = line.len > 0 ? memmem(line.ptr, line.len, key, key_len) : NULL;
        if (!found)
            continue;
        struct str name = {.ptr = found + key_len,
                           .len = line.len - (size_t)(found - line.ptr) - key_len};
        while (name.len > 0 && name.ptr[0] == '"') {
            name.ptr++;
            name.len--;
        }
        while (name.len > 0 && name.ptr[name.len - 1] == '"')
            name.len--;
        return arena_strndup(arena, name.ptr, name.len);
    }
    return "Linux";
}

static bool take_number(struct str *rest, unsigned *ret)
{
    size_t digits = 0;
    while (digits < rest->len && rest->ptr[digits] >= '0' && rest->ptr[digits] <= '9')
        digits++;
    int64_t number;
    if (!parse_str((struct str){.ptr = rest->ptr, .len = digits}, 0, INT_MAX, &number))
        return false;
    *ret = (unsigned)number;
    rest->ptr += digits;
    rest->len -= digits;
    return true;
}

bool facts_parse_kernel(struct str release, unsigned *ret_major, unsigned *ret_minor)
{
    unsigned major, minor;
    struct str rest = release;
    if (!take_number(&rest, &major) || rest.len == 0 || rest.ptr[0] != '.')
        return false;
    rest = (struct str){.ptr = rest.ptr + 1, .len = rest.len - 1};
    if (!take_number(&rest, &minor))
        return false;
    *ret_major = major;
    *ret_minor = minor;
    return true;
}

struct str facts_parse_id(struct str text)
{
    struct str id = text;
    while (id.len > 0 && id.ptr[id.len - 1] == '\0')
        id.len--;
    return str_trim(id);
}

/* --- huge pages --- */

int64_t facts_hugepage_kib(const char *name)
{
    static const char prefix[] = "hugepages-", suffix[] = "kB";
    if (!text_has_prefix(name, prefix) || !text_has_suffix(name, suffix))
        return 0;
    const char *digits = name + strlen(prefix);
    struct str number = {.ptr = digits, .len = strlen(digits) - strlen(suffix)};
    int64_t kib;
    return parse_str(number, 1, INT64_MAX / BYTES_PER_KIB, &kib) ? kib : 0;
}

const char *facts_hugepage_resource(int64_t kib, struct arena *arena)
{
    static const char units[] = "KMGTPE";
    size_t unit = 0;
    int64_t size = kib;
    while (size > 0 && size % 1024 == 0 && units[unit + 1] != '\0') {
        size /= 1024;
        unit++;
    }
    return arena_printf(arena, "hugepages-%lld%ci", (long long)size, units[unit]);
}

static int by_number(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

const char *const *facts_hugepage_texts(int64_t *sizes_kib, size_t count, struct arena *arena)
{
    const char **texts = arena_calloc(arena, count + 1, sizeof(*texts));
    if (count > 0)
        qsort(sizes_kib, count, sizeof(*sizes_kib), by_number);
    for (size_t i = 0; i < count; i++) {
        int64_t kib = sizes_kib[i];
        if (kib >= KIB_PER_GIB)
            texts[i] = arena_printf(arena, "%lldGB", (long long)(kib / KIB_PER_GIB));
        else if (kib >= KIB_PER_MIB)
            texts[i] = arena_printf(arena, "%lldMB", (long long)(kib / KIB_PER_MIB));
        else
            texts[i] = arena_printf(arena, "%lldKB", (long long)kib);
    }
    return texts;
}

/* --- amounts --- */

/* @text is known to end in "%". */
static int64_t percentage_of(const char *text, int64_t capacity)
{
    if (strcmp(text, "0%") == 0 || strcmp(text, "100%") == 0)
        return 0;
    /* strtof() knows more spellings than the contract: exponents, hexadecimal, "inf", "nan". */
    if (strspn(text, "0123456789.+-") != strlen(text) - 1)
        return 0;
    char *end;
    float fraction = strtof(text, &end) / 100.0F;
    if (strcmp(end, "%") != 0 || fraction <= 0)
        return 0;
    return fraction < 1 ? (int64_t)((double)capacity * (double)fraction) : capacity;
}

int64_t facts_threshold(const char *text, int64_t capacity)
{
    if (!text)
        return 0;
    if (text_has_suffix(text, "%"))
        return percentage_of(text, capacity);
    Meta__Quantity quantity = META__QUANTITY__INIT;
    quantity.string = (char *)(uintptr_t)text;
    return quantity_value(&quantity);
}

int64_t facts_allocatable(int64_t capacity, int64_t reserved, int64_t threshold)
{
    return max_i64(sat_sub_i64(sat_sub_i64(capacity, reserved), threshold), 0);
}

int64_t facts_max_pids(int64_t pid_max, int64_t threads_max)
{
    return pid_max > 0 && threads_max > 0 ? min_i64(pid_max, threads_max)
                                          : max_i64(pid_max, threads_max);
}

bool facts_is_selinux_label(struct str text)
{
    while (text.len > 0 && (text.ptr[text.len - 1] == '\0' || text.ptr[text.len - 1] == '\n'))
        text.len--; /* the kernel ends it with a NUL */
    return text.len > 0 && !str_eq_c(text, "kernel");
}
