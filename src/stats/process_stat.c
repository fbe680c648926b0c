#include "stats/process_stat.h"

#include "base/buf.h"
#include "base/fd.h"

#include <dirent.h>
#include <unistd.h>

/* /proc/stat has a number for each interrupt, of which a large machine has tens of thousands. */
#define PROC_FILE_MAX_BYTES (1 * MiB)

/* proc(5), counted from 1; the third field is the first behind the process's name. */
enum {
    FIELD_STATE = 3,
    FIELD_USER_TICKS = 14,
    FIELD_SYSTEM_TICKS = 15,
    FIELD_THREADS = 20,
    FIELD_START_TICKS = 22,
    FIELD_VIRTUAL_BYTES = 23,
    FIELD_RESIDENT_PAGES = 24,
};

static bool parse_field(struct str field, int64_t *ret)
{
    AUTO(free) char *text = str_dup(str_trim(field));
    return parse_i64(text, 0, INT64_MAX, ret);
}

/* The name is in parentheses and may hold any character, so the last one ends it. */
static struct str behind_name(struct str text)
{
    size_t end = text.len;
    while (end > 0 && text.ptr[end - 1] != ')')
        end--;
    return (struct str){.ptr = text.ptr + end, .len = text.len - end};
}

bool process_stat_parse(struct str text, struct process_stat *ret)
{
    int64_t user = 0, system = 0;
    struct process_stat stat = {0};
    int64_t *const wanted[] = {
        [FIELD_USER_TICKS] = &user,
        [FIELD_SYSTEM_TICKS] = &system,
        [FIELD_THREADS] = &stat.threads,
        [FIELD_START_TICKS] = &stat.start_ticks,
        [FIELD_VIRTUAL_BYTES] = &stat.virtual_bytes,
        [FIELD_RESIDENT_PAGES] = &stat.resident_pages,
    };
    struct str rest = str_trim(behind_name(text)), field;
    for (size_t i = FIELD_STATE; i < ARRAY_SIZE(wanted); i++) {
        if (!str_split_next(&rest, ' ', &field))
            return false;
        if (wanted[i] && !parse_field(field, wanted[i]))
            return false;
    }
    stat.cpu_ticks = sat_add_i64(user, system);
    *ret = stat;
    return true;
}

bool process_boot_parse(struct str text, int64_t *ret_wall_s)
{
    struct str line;
    while (str_split_next(&text, '\n', &line)) {
        if (!str_has_prefix(line, "btime "))
            continue;
        line.ptr += strlen("btime ");
        line.len -= strlen("btime ");
        return parse_field(line, ret_wall_s);
    }
    return false;
}

/* Two lines for each group: the names, and their values in the same order. */
bool process_traffic_parse(struct str text, int64_t *ret_in, int64_t *ret_out)
{
    struct str names;
    while (str_split_next(&text, '\n', &names)) {
        struct str values, name, value;
        if (!str_has_prefix(names, "IpExt:") || !str_split_next(&text, '\n', &values))
            continue;
        int64_t in = -1, out = -1;
        while (str_split_next(&names, ' ', &name) && str_split_next(&values, ' ', &value)) {
            if ((str_eq_c(name, "InOctets") && !parse_field(value, &in)) ||
                (str_eq_c(name, "OutOctets") && !parse_field(value, &out)))
                return false;
        }
        if (in < 0 || out < 0)
            return false;
        *ret_in = in;
        *ret_out = out;
        return true;
    }
    return false;
}

static bool read_file(const char *path, struct buf *buf)
{
    buf_init(buf, PROC_FILE_MAX_BYTES);
    struct error *err = fd_read_file_blocking(path, buf);
    if (!err)
        return true;
    error_ignore(err, "a figure that cannot be told is left out");
    return false;
}

bool process_stat_read(struct process_stat *ret)
{
    AUTO(buf) struct buf text;
    return read_file("/proc/self/stat", &text) && process_stat_parse(buf_str(&text), ret);
}

bool process_traffic_read(int64_t *ret_in, int64_t *ret_out)
{
    AUTO(buf) struct buf text;
    return read_file("/proc/self/net/netstat", &text) &&
           process_traffic_parse(buf_str(&text), ret_in, ret_out);
}

int64_t process_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return -1;
    int64_t count = -1; /* that of the folder itself does not count */
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's own */
    for (const struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    (void)closedir(dir);
    return count;
}

int64_t process_start_mono_ns(void)
{
    struct process_stat stat;
    return process_stat_read(&stat)
               ? sat_mul_i64(stat.start_ticks, NS_PER_SEC / sysconf(_SC_CLK_TCK))
               : 0;
}

double process_start_seconds(void)
{
    AUTO(buf) struct buf text;
    struct process_stat stat;
    int64_t boot_s;
    if (!process_stat_read(&stat) || !read_file("/proc/stat", &text) ||
        !process_boot_parse(buf_str(&text), &boot_s))
        return 0;
    return (double)boot_s + (double)stat.start_ticks / (double)sysconf(_SC_CLK_TCK);
}
