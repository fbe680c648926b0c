#include "cgroup/cgroup_parse.h"

#define V2_MAX "max"
#define KIB_BYTES 1024
/* "100.00", or whatever a kernel may print: digits beyond these do not change a percentage. */
#define MAX_FRACTION_DIGITS 6

/* --- words and numbers --- */

/* Digits only. A number that does not fit is the largest there is: counters wrap no sooner. */
static bool parse_digits(struct str text, uint64_t *ret)
{
    if (text.len == 0)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c < '0' || c > '9')
            return false;
        if (__builtin_mul_overflow(number, UINT64_C(10), &number) ||
            __builtin_add_overflow(number, (uint64_t)(c - '0'), &number))
            number = UINT64_MAX;
    }
    *ret = number;
    return true;
}

bool cgroup_parse_number(struct str text, uint64_t *ret)
{
    struct str word = str_trim(text);
    if (str_eq_c(word, V2_MAX)) {
        *ret = UINT64_MAX;
        return true;
    }
    return parse_digits(word, ret);
}

bool cgroup_parse_limit(struct str text, uint64_t *ret)
{
    struct str word = str_trim(text);
    uint64_t ignored;
    if (word.len > 1 && word.ptr[0] == '-' &&
        parse_digits((struct str){.ptr = word.ptr + 1, .len = word.len - 1}, &ignored)) {
        *ret = UINT64_MAX;
        return true;
    }
    return cgroup_parse_number(word, ret);
}

void cgroup_parse_cpu_max(struct str text, struct cgroup_cpu_figures *ret)
{
    struct str rest = str_trim(text), quota, period;
    if (!str_next_word(&rest, &quota))
        return;
    ret->has_quota = parse_digits(quota, &ret->quota_us);
    uint64_t number;
    if (str_next_word(&rest, &period) && parse_digits(period, &number))
        ret->period_us = number;
}

/* --- lines of a name and a number --- */

size_t cgroup_parse_keys(struct str text, const struct cgroup_key *keys, size_t count, void *ret)
{
    size_t found = 0;
    struct str rest = text, line, name, number;
    while (found < count && str_split_next(&rest, '\n', &line)) {
        if (!str_next_word(&line, &name) || !str_next_word(&line, &number))
            continue;
        for (size_t i = 0; i < count; i++) {
            uint64_t value;
            if (!str_eq_c(name, keys[i].name) || !parse_digits(number, &value))
                continue;
            memcpy((char *)ret + keys[i].offset, &value, sizeof(value));
            found++;
            break;
        }
    }
    return found;
}

void cgroup_parse_meminfo(struct str text, struct cgroup_meminfo *ret)
{
    static const struct cgroup_key keys[] = {
        {"MemTotal:", offsetof(struct cgroup_meminfo, total_bytes)},
        {"SwapTotal:", offsetof(struct cgroup_meminfo, swap_total_bytes)},
        {"SwapFree:", offsetof(struct cgroup_meminfo, swap_free_bytes)},
    };
    struct cgroup_meminfo kib = {0};
    (void)cgroup_parse_keys(text, keys, ARRAY_SIZE(keys), &kib);
    if (__builtin_mul_overflow(kib.total_bytes, KIB_BYTES, &ret->total_bytes))
        ret->total_bytes = 0;
    if (__builtin_mul_overflow(kib.swap_total_bytes, KIB_BYTES, &ret->swap_total_bytes))
        ret->swap_total_bytes = 0;
    if (__builtin_mul_overflow(kib.swap_free_bytes, KIB_BYTES, &ret->swap_free_bytes))
        ret->swap_free_bytes = 0;
}

/* --- pressure --- */

/* "0.42": locale-independent, without sign or exponent. */
static bool parse_percent(struct str text, double *ret)
{
    size_t dot = str_find(text, '.');
    uint64_t whole, fraction = 0;
    if (!parse_digits((struct str){.ptr = text.ptr, .len = dot}, &whole))
        return false;
    double scale = 1;
    if (dot < text.len) {
        struct str digits = {.ptr = text.ptr + dot + 1, .len = text.len - dot - 1};
        digits.len = min_size(digits.len, MAX_FRACTION_DIGITS);
        if (!parse_digits(digits, &fraction))
            return false;
        for (size_t i = 0; i < digits.len; i++)
            scale *= 10;
    }
    *ret = (double)whole + (double)fraction / scale;
    return true;
}

/* "<name>=<value>" → value; false when the word has another name. */
static bool value_of(struct str word, const char *name, struct str *ret)
{
    size_t equals = str_find(word, '=');
    if (equals == word.len || !str_eq_c((struct str){.ptr = word.ptr, .len = equals}, name))
        return false;
    *ret = (struct str){.ptr = word.ptr + equals + 1, .len = word.len - equals - 1};
    return true;
}

static void parse_pressure_line(struct str rest, struct cgroup_pressure_line *ret)
{
    const struct {
        const char *name;
        double *value;
    } averages[] = {{"avg10", &ret->avg10}, {"avg60", &ret->avg60}, {"avg300", &ret->avg300}};
    struct str word, value;
    while (str_next_word(&rest, &word)) {
        for (size_t i = 0; i < ARRAY_SIZE(averages); i++) {
            if (value_of(word, averages[i].name, &value))
                (void)!parse_percent(value, averages[i].value);
        }
        if (value_of(word, "total", &value))
            (void)!parse_digits(value, &ret->total_us);
    }
}

bool cgroup_parse_pressure(struct str text, struct cgroup_pressure *ret)
{
    struct cgroup_pressure pressure = {0};
    bool has_some = false;
    struct str rest = text, line, word;
    while (str_split_next(&rest, '\n', &line)) {
        if (!str_next_word(&line, &word))
            continue;
        if (str_eq_c(word, "some")) {
            parse_pressure_line(line, &pressure.some);
            has_some = true;
        } else if (str_eq_c(word, "full")) {
            parse_pressure_line(line, &pressure.full);
        }
    }
    if (has_some)
        *ret = pressure;
    return has_some;
}

/* --- block devices --- */

static bool parse_device(struct str word, uint64_t *ret_major, uint64_t *ret_minor)
{
    size_t colon = str_find(word, ':');
    if (colon == word.len)
        return false;
    uint64_t major, minor;
    if (!parse_digits((struct str){.ptr = word.ptr, .len = colon}, &major) ||
        !parse_digits((struct str){.ptr = word.ptr + colon + 1, .len = word.len - colon - 1},
                      &minor))
        return false;
    *ret_major = major;
    *ret_minor = minor;
    return true;
}

/* The entry of the device, made when it is not there; NULL when the list is full. */
static struct cgroup_io_device *device_of(struct cgroup_io_list *list, uint64_t major,
                                          uint64_t minor, struct arena *arena)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].major == major && list->items[i].minor == minor)
            return &list->items[i];
    }
    if (list->count == CGROUP_MAX_IO_DEVICES)
        return NULL;
    if ((list->count & (list->count - 1)) == 0) { /* a power of two: full */
        struct cgroup_io_device *grown =
            arena_calloc(arena, list->count > 0 ? list->count * 2 : 1, sizeof(*grown));
        if (list->count > 0)
            memcpy(grown, list->items, list->count * sizeof(*grown));
        list->items = grown;
    }
    struct cgroup_io_device *device = &list->items[list->count++];
    device->major = major;
    device->minor = minor;
    return device;
}

static const char *const io_kinds[] = {
    [CGROUP_IO_READ] = "Read",   [CGROUP_IO_WRITE] = "Write",     [CGROUP_IO_SYNC] = "Sync",
    [CGROUP_IO_ASYNC] = "Async", [CGROUP_IO_DISCARD] = "Discard", [CGROUP_IO_TOTAL] = "Total",
};
_Static_assert(ARRAY_SIZE(io_kinds) == CGROUP_IO_KIND_COUNT, "name every kind");

const char *cgroup_io_kind_name(enum cgroup_io_kind kind)
{
    return io_kinds[kind];
}

static void set_io(struct cgroup_io_device *device, size_t kind, bool are_bytes, uint64_t value)
{
    if (are_bytes) {
        device->bytes[kind] = value;
        device->has_bytes |= 1U << kind;
    } else {
        device->operations[kind] = value;
        device->has_operations |= 1U << kind;
    }
}

void cgroup_parse_blkio(struct str text, bool are_bytes, struct arena *arena,
                        struct cgroup_io_list *list)
{
    struct str rest = text, line, word, kind, number;
    while (str_split_next(&rest, '\n', &line)) {
        uint64_t major, minor, value;
        /* The last line, "Total <number>", is about no device. */
        if (!str_next_word(&line, &word) || !parse_device(word, &major, &minor) ||
            !str_next_word(&line, &kind) || !str_next_word(&line, &number) ||
            !parse_digits(number, &value))
            continue;
        struct cgroup_io_device *device = device_of(list, major, minor, arena);
        for (size_t i = 0; device && i < CGROUP_IO_KIND_COUNT; i++) {
            if (str_eq_c(kind, io_kinds[i]))
                set_io(device, i, are_bytes, value);
        }
    }
}

static void take_io_word(struct cgroup_io_device *device, struct str word)
{
    static const struct {
        const char *name;
        enum cgroup_io_kind kind;
        bool are_bytes;
    } counters[] = {
        {"rbytes", CGROUP_IO_READ, true},
        {"wbytes", CGROUP_IO_WRITE, true},
        {"rios", CGROUP_IO_READ, false},
        {"wios", CGROUP_IO_WRITE, false},
    };
    static const char *const costs[] = {
        [CGROUP_COST_USAGE] = "cost.usage",
        [CGROUP_COST_WAIT] = "cost.wait",
        [CGROUP_COST_INDEBT] = "cost.indebt",
        [CGROUP_COST_INDELAY] = "cost.indelay",
    };
    struct str text;
    uint64_t value;
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
        if (value_of(word, counters[i].name, &text) && parse_digits(text, &value))
            set_io(device, counters[i].kind, counters[i].are_bytes, value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(costs); i++) {
        if (!value_of(word, costs[i], &text) || !parse_digits(text, &value))
            continue;
        device->cost_us[i] = value;
        device->has_cost |= 1U << i;
    }
}

void cgroup_parse_io_stat(struct str text, struct arena *arena, struct cgroup_io_list *list)
{
    struct str rest = text, line, word;
    while (str_split_next(&rest, '\n', &line)) {
        /* A device without figures is only a number, and some kernels forget the line's end after
         * it, so each number in a line begins anew. */
        bool has_device = false;
        uint64_t major = 0, minor = 0;
        struct cgroup_io_device *device = NULL;
        while (str_next_word(&line, &word)) {
            if (parse_device(word, &major, &minor)) {
                has_device = true;
                device = NULL;
                continue;
            }
            if (has_device && !device)
                device = device_of(list, major, minor, arena);
            if (device)
                take_io_word(device, word);
        }
    }
}

/* --- processes --- */

bool cgroup_next_pid(struct str *rest, int64_t *ret)
{
    struct str line;
    uint64_t pid;
    while (str_split_next(rest, '\n', &line)) {
        if (parse_digits(line, &pid) && pid > 0 && pid <= INT32_MAX) {
            *ret = (int64_t)pid;
            return true;
        }
    }
    return false;
}

bool cgroup_parse_open_files_limit(struct str text, int64_t *ret)
{
    static const char name[] = "Max open files";
    struct str rest = text, line, word;
    while (str_split_next(&rest, '\n', &line)) {
        if (!str_has_prefix(line, name))
            continue;
        struct str values = {.ptr = line.ptr + sizeof(name) - 1,
                             .len = line.len - sizeof(name) + 1};
        if (!str_next_word(&values, &word))
            return false;
        uint64_t limit = 0;
        bool is_unlimited = str_eq_c(word, "unlimited");
        if (!is_unlimited && !parse_digits(word, &limit))
            return false;
        *ret = is_unlimited || limit > INT64_MAX ? -1 : (int64_t)limit;
        return true;
    }
    return false;
}

/* "4:cpu,cpuacct:/user.slice" → the path when @controller is listed. */
static bool path_of_controller(struct str line, const char *controller, struct str *ret)
{
    struct str rest = line, number, controllers, name;
    if (!str_split_next(&rest, ':', &number) || !str_split_next(&rest, ':', &controllers))
        return false;
    if (controllers.len == 0 && controller[0] == '\0') {
        *ret = rest;
        return true;
    }
    while (str_split_next(&controllers, ',', &name)) {
        if (str_eq_c(name, controller)) {
            *ret = rest;
            return true;
        }
    }
    return false;
}

static struct str find_path(struct str text, const char *controller)
{
    struct str rest = text, line, path = {0};
    while (str_split_next(&rest, '\n', &line)) {
        if (path_of_controller(line, controller, &path))
            break;
    }
    return path;
}

struct error *cgroup_parse_own_path(struct str text, enum cgroup_version version,
                                    struct arena *arena, const char **ret)
{
    struct str path = find_path(text, version == CGROUP_V2 ? "" : "cpu");
    if (path.len == 0)
        return error_new(ERROR_FAILED_PRECONDITION, "the process is in no cgroup");
    if (version == CGROUP_V1) {
        struct str memory = find_path(text, "memory");
        if (!str_eq(path, memory))
            return error_new(ERROR_FAILED_PRECONDITION,
                             "cpu and memory cgroup hierarchy not unified.  cpu: %.*s, memory: "
                             "%.*s",
                             STR_ARG(path), STR_ARG(memory));
        struct str systemd = find_path(text, "name=systemd");
        if (systemd.len > 0)
            path = systemd;
    }
    *ret = arena_strndup(arena, path.ptr, path.len);
    return NULL;
}
