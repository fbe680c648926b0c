/*
 * The page against one that a kubelet was seen to give (cgroup v1, cut to some records). Compared
 * is the shape of every sample: family, kind of record, names of labels, which of them are blank,
 * and whether it carries a time; and of every family its HELP and TYPE. They agree; a difference
 * would need its reason here.
 */
#include "stats/cadvisor.h"

#include "base/fd.h"
#include "base/path.h"
#include "records_fixture.h"

#define PAGE_MAX_BYTES (8 * MiB)
#define MAX_SHAPES 2000

/* --- a page taken apart --- */

struct label {
    struct str name, value;
};
struct sample {
    struct str family, value;
    size_t n_labels;
    struct label labels[12];
    bool has_time;
};

static struct str take_until(struct str *rest, const char *ends)
{
    size_t len = 0;
    while (len < rest->len && !strchr(ends, rest->ptr[len]))
        len++;
    struct str taken = {.ptr = rest->ptr, .len = len};
    size_t skip = len < rest->len ? len + 1 : len;
    *rest = (struct str){.ptr = rest->ptr + skip, .len = rest->len - skip};
    return taken;
}

static struct sample parse_sample(struct str line)
{
    struct sample sample = {0};
    sample.family.len = 0;
    while (sample.family.len < line.len && !strchr("{ ", line.ptr[sample.family.len]))
        sample.family.len++;
    sample.family.ptr = line.ptr;
    bool has_labels = sample.family.len < line.len && line.ptr[sample.family.len] == '{';
    struct str rest = {.ptr = line.ptr + sample.family.len + 1,
                       .len = line.len - sample.family.len - 1};
    while (has_labels) {
        assert_true(sample.n_labels < ARRAY_SIZE(sample.labels));
        struct label *label = &sample.labels[sample.n_labels++];
        label->name = take_until(&rest, "=");
        (void)take_until(&rest, "\"");
        label->value = take_until(&rest, "\""); /* no value here holds a quote */
        assert_true(rest.len > 0);
        has_labels = rest.ptr[0] == ',';
        rest = (struct str){.ptr = rest.ptr + 1, .len = rest.len - 1};
        if (!has_labels)
            (void)take_until(&rest, " ");
    }
    sample.value = take_until(&rest, " ");
    sample.has_time = rest.len > 0;
    return sample;
}

static struct str label_value(const struct sample *sample, const char *name)
{
    for (size_t i = 0; i < sample->n_labels; i++) {
        if (str_eq_c(sample->labels[i].name, name))
            return sample->labels[i].value;
    }
    return (struct str){.ptr = NULL, .len = 0};
}

static bool contains(struct str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static const char *kind_of(const struct sample *sample)
{
    struct str id = label_value(sample, "id");
    if (!id.ptr)
        return "machine";
    if (str_eq_c(id, "/"))
        return "root";
    if (!contains(id, "/pod"))
        return "slice";
    if (label_value(sample, "container").len > 0)
        return "container";
    return label_value(sample, "name").len > 0 ? "sandbox" : "pod";
}

struct shapes {
    struct arena *arena;
    size_t count;
    const char *items[MAX_SHAPES];
};

static bool has_shape(const struct shapes *shapes, const char *shape)
{
    for (size_t i = 0; i < shapes->count; i++) {
        if (text_eq(shapes->items[i], shape))
            return true;
    }
    return false;
}

static void add_shape(struct shapes *shapes, const char *shape)
{
    if (has_shape(shapes, shape))
        return;
    assert_true(shapes->count < MAX_SHAPES);
    shapes->items[shapes->count++] = shape;
}

/* Values of these say what a sample is about. */
static bool is_telling(struct str name)
{
    static const char *const names[] = {"cpu",   "failure_type", "mode",  "operation",
                                        "scope", "state",        "ulimit"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (str_eq_c(name, names[i]))
            return true;
    }
    return false;
}

static const char *shape_of(const struct sample *sample, struct arena *arena)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 4 * KiB);
    buf_printf(&text, "%.*s of a %s", STR_ARG(sample->family), kind_of(sample));
    for (size_t i = 0; i < sample->n_labels; i++) {
        const struct label *label = &sample->labels[i];
        buf_printf(&text, " %.*s", STR_ARG(label->name));
        if (label->value.len == 0)
            buf_add_text(&text, "=blank");
        else if (is_telling(label->name))
            buf_printf(&text, "=%.*s", STR_ARG(label->value));
    }
    buf_add_text(&text, sample->has_time ? " with a time" : " without a time");
    return arena_strdup(arena, buf_text(&text));
}

static void add_shapes(struct shapes *shapes, struct str page)
{
    struct str rest = page, line;
    while (str_split_next(&rest, '\n', &line)) {
        if (line.len == 0)
            continue;
        if (line.ptr[0] == '#') {
            add_shape(shapes, arena_strndup(shapes->arena, line.ptr, line.len));
            continue;
        }
        const struct sample sample = parse_sample(line);
        add_shape(shapes, shape_of(&sample, shapes->arena));
    }
}

static size_t count_missing(const struct shapes *from, const struct shapes *in, const char *whose)
{
    size_t missing = 0;
    for (size_t i = 0; i < from->count; i++) {
        if (has_shape(in, from->items[i]))
            continue;
        print_error("only %s: %s\n", whose, from->items[i]);
        missing++;
    }
    return missing;
}

/* --- the pages --- */

static void write_page(struct records_fixture *fixture, struct buf *out)
{
    AUTO(stats_records) struct stats_records *records = records_fixture_build(fixture);
    struct exposition page;
    exposition_init(&page, out, EXPOSITION_TEXT);
    cadvisor_write(&page, records, FIXTURE_NOW_NS);
    exposition_end(&page);
    assert_false(out->overflowed);
}

static void assert_line(const struct buf *page, const char *line)
{
    AUTO(free) char *whole = xasprintf("\n%s\n", line);
    if (!strstr(buf_text(page), whole))
        fail_msg("the page lacks %s", line);
}

TEST_CASE(families_and_labels_are_those_of_a_kubelet)
{
    AUTO(free)
    char *path = xasprintf("%s/recorded/http/metrics_cadvisor.txt", getenv("CUBELET_TEST_DATA"));
    AUTO(buf) struct buf recorded = {0}, ours = {0};
    buf_init(&recorded, PAGE_MAX_BYTES);
    buf_init(&ours, PAGE_MAX_BYTES);
    assert_no_error(fd_read_file_blocking(path, &recorded));
    struct records_fixture fixture;
    records_fixture_init(&fixture);
    write_page(&fixture, &ours);

    AUTO(arena) struct arena *arena = arena_new(0);
    struct shapes *theirs = arena_alloc(arena, sizeof(*theirs));
    struct shapes *mine = arena_alloc(arena, sizeof(*mine));
    theirs->arena = mine->arena = arena;
    add_shapes(theirs, buf_str(&recorded));
    add_shapes(mine, buf_str(&ours));
    assert_true(theirs->count > 300);
    size_t missing = count_missing(theirs, mine, "a kubelet's");
    missing += count_missing(mine, theirs, "ours");
    assert_int_equal(missing, 0);
}

/* --- what the recorded machine did not have --- */

static const struct cgroup_io_device io_devices[] = {
    {.major = 254,
     .has_bytes = 1U << CGROUP_IO_READ | 1U << CGROUP_IO_WRITE,
     .has_operations = 1U << CGROUP_IO_READ,
     .bytes = {[CGROUP_IO_READ] = 4096, [CGROUP_IO_WRITE] = 512},
     .operations = {[CGROUP_IO_READ] = 2},
     .has_cost = 1U << CGROUP_COST_USAGE,
     .cost_us = {[CGROUP_COST_USAGE] = 1500000}},
    {.major = 259, .has_operations = 1U << CGROUP_IO_READ, .operations = {[CGROUP_IO_READ] = 9}},
    {.major = 9, .minor = 5, .has_operations = 1U << CGROUP_IO_READ},
};

static void add_everything(struct records_fixture *fixture)
{
    fixture->content.has_pressure = true;
    for (size_t i = 0; i < FIXTURE_COUNT; i++) {
        struct cgroup_figures *figures = &fixture->items[i].figures;
        figures->has_io = figures->has_pressure = true;
        figures->io_devices = io_devices;
        figures->n_io_devices = ARRAY_SIZE(io_devices);
        figures->memory_pressure.full.total_us = 2500000;
    }
}

TEST_CASE(disks_are_told_in_seconds_and_nvme_among_them)
{
    AUTO(buf) struct buf page = {0};
    buf_init(&page, PAGE_MAX_BYTES);
    struct records_fixture fixture;
    records_fixture_init(&fixture);
    add_everything(&fixture);
    write_page(&fixture, &page);
#define ROOT "id=\"/\",image=\"\",name=\"\",namespace=\"\",pod=\"\"} "
#define C                                                                                          \
    "id=\"/kubepods/pod1/c1\",image=\"docker.io/library/busybox:1.36\",name=\"c1\","               \
    "namespace=\"default\",pod=\"web\"} "
#define AT " 1795230484710"
    static const char *const lines[] = {
        "container_fs_read_seconds_total{container=\"\",device=\"/dev/vda\"," ROOT "134.817" AT,
        "container_fs_usage_bytes{container=\"\",device=\"/dev/vda\"," ROOT "600" AT,
        "container_fs_limit_bytes{container=\"\",device=\"/dev/shm\"," ROOT "4096" AT,
        /* the file system's figures, not the cgroup's */
        "container_fs_reads_total{container=\"\",device=\"/dev/vda\"," ROOT "7" AT,
        "container_fs_reads_total{container=\"\",device=\"/dev/nvme0n1\"," ROOT "9" AT,
        "container_fs_reads_total{container=\"c\",device=\"/dev/vda\"," C "2" AT,
        "container_fs_reads_total{container=\"c\",device=\"9:5\"," C "0" AT,
        "container_fs_reads_bytes_total{container=\"c\",device=\"/dev/vda\"," C "4096" AT,
        "container_fs_io_cost_usage_seconds_total{container=\"c\",device=\"/dev/vda\"," C "1.5" AT,
        "container_blkio_device_usage_total{container=\"c\",device=\"/dev/vda\","
        "id=\"/kubepods/pod1/c1\",image=\"docker.io/library/busybox:1.36\",major=\"254\","
        "minor=\"0\",name=\"c1\",namespace=\"default\",operation=\"Write\",pod=\"web\"} 512" AT,
        "container_pressure_memory_stalled_seconds_total{container=\"c\"," C "2.5" AT,
        "container_pressure_cpu_waiting_seconds_total{container=\"c\"," C "0" AT,
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        assert_line(&page, lines[i]);
}

TEST_CASE(figures_have_their_units_and_times)
{
    AUTO(buf) struct buf page = {0};
    buf_init(&page, PAGE_MAX_BYTES);
    struct records_fixture fixture;
    records_fixture_init(&fixture);
    fixture.items[FIXTURE_C].oom_kills = 4;
    fixture.items[FIXTURE_PODS].figures.cpu.total_ns = 0;
    write_page(&fixture, &page);
    static const char *const lines[] = {
        "container_cpu_usage_seconds_total{container=\"c\",cpu=\"total\"," C "1.5" AT,
        "container_cpu_cfs_throttled_seconds_total{container=\"c\"," C "0.029486673" AT,
        "container_cpu_cfs_periods_total{container=\"c\"," C "11" AT,
        "container_spec_cpu_quota{container=\"c\"," C "15000",
        "container_spec_memory_limit_bytes{container=\"c\"," C "5.0331648e+07",
        "container_spec_memory_limit_bytes{container=\"\"," ROOT "0",
        "container_start_time_seconds{container=\"c\"," C "1.795230484e+09",
        "container_last_seen{container=\"c\"," C "1.795230484e+09" AT,
        "container_oom_events_total{container=\"c\"," C "4" AT,
        "container_health_state{container=\"c\"," C "-1" AT,
        "container_scrape_error 0",
        "machine_memory_bytes{boot_id=\"b\",machine_id=\"m\",system_uuid=\"u\"} 2.5276510208e+10",
        "machine_nvm_capacity{boot_id=\"b\",machine_id=\"m\",mode=\"memory_mode\",system_uuid="
        "\"u\"} 0",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        assert_line(&page, lines[i]);
    assert_null(strstr(buf_text(&page), "cpu=\"total\",id=\"/kubepods\""));
}

/* The text that orders samples: family, then the labels' values. */
static const char *order_of(const struct sample *sample, struct arena *arena)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 4 * KiB);
    buf_printf(&text, "%.*s", STR_ARG(sample->family));
    for (size_t i = 0; i < sample->n_labels; i++)
        buf_printf(&text, "\x01%.*s", STR_ARG(sample->labels[i].value));
    return arena_strdup(arena, buf_text(&text));
}

/* A page with the same sample twice would be refused whole. */
TEST_CASE(samples_are_in_order_and_each_is_there_once)
{
    AUTO(buf) struct buf page = {0};
    buf_init(&page, PAGE_MAX_BYTES);
    struct records_fixture fixture;
    records_fixture_init(&fixture);
    add_everything(&fixture);
    write_page(&fixture, &page);
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str rest = buf_str(&page), line;
    const char *before = "";
    while (str_split_next(&rest, '\n', &line)) {
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        const struct sample sample = parse_sample(line);
        for (size_t i = 1; i < sample.n_labels; i++)
            assert_true(
                memcmp(sample.labels[i - 1].name.ptr, sample.labels[i].name.ptr,
                       min_size(sample.labels[i - 1].name.len, sample.labels[i].name.len)) <= 0);
        const char *order = order_of(&sample, arena);
        if (strcmp(before, order) >= 0)
            fail_msg("%s comes after %s", order, before);
        before = order;
    }
    assert_true(before[0] != '\0');
}

TEST_CASE(without_records_the_page_says_that_it_failed)
{
    AUTO(buf) struct buf page = {0};
    buf_init(&page, PAGE_MAX_BYTES);
    struct exposition writer;
    exposition_init(&writer, &page, EXPOSITION_TEXT);
    cadvisor_write(&writer, NULL, FIXTURE_NOW_NS);
    exposition_end(&writer);
    assert_line(&page, "container_scrape_error 1");
    assert_line(&page, "machine_scrape_error 1");
}

TEST_MAIN(TEST(families_and_labels_are_those_of_a_kubelet),
          TEST(disks_are_told_in_seconds_and_nvme_among_them),
          TEST(figures_have_their_units_and_times),
          TEST(samples_are_in_order_and_each_is_there_once),
          TEST(without_records_the_page_says_that_it_failed))
