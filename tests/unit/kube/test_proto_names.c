/*
 * Our .proto files against the wire contract: every message, field number, type, label and JSON
 * name, in both directions. The files are read as text, because protobuf-c keeps no list of its
 * descriptors.
 */
#include "kube/codec_internal.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <unistd.h>

#define FIELDS_MAX 2048

struct field {
    char *message;
    char *name; /* as JSON has it */
    char *proto_name;
    char *number;
    char *type; /* without packages and blanks */
    char *label;
    bool is_seen;
};

struct contract {
    size_t count;
    struct field fields[FIELDS_MAX];
};

struct source {
    const char *proto; /* proto/<proto>.proto */
    const char *tsv;   /* wire/<tsv>.tsv */
    bool keeps_names;  /* CRI: not translated */
};

static const struct source sources[] = {
    {"core", "core.v1", false},
    {"meta", "meta.v1", false},
    {"quantity", "resource.quantity", false},
    {"intstr", "intstr", false},
    {"runtime", "runtime", false},
    {"authentication", "authentication.v1", false},
    {"authorization", "authorization.v1", false},
    {"certificates", "certificates.v1", false},
    {"coordination", "coordination.v1", false},
    {"discovery", "discovery.v1", false},
    {"events", "events.v1", false},
    {"node", "node.v1", false},
    {"resource", "resource.v1", false},
    {"storage", "storage.v1", false},
    {"cri", "cri.v1", true},
};

/* Names the rule does not give: none of them is a JSON name but the first. */
static const struct {
    const char *message, *wire_name, *rule_name;
} exceptions[] = {
    {"DaemonEndpoint", "Port", "port"},
    {"FieldsV1", "Raw", "raw"},
    {"BoundObjectReference", "uID", "uid"},
};

static char *read_file(const char *directory, const char *name)
{
    AUTO(free) char *path = xasprintf("%s/%s", directory, name);
    AUTO(buf) struct buf text;
    buf_init(&text, MiB);
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("cannot open %s", path);
    char chunk[4096];
    for (size_t got; (got = fread(chunk, 1, sizeof(chunk), file)) > 0;)
        buf_add(&text, chunk, got);
    fclose(file);
    return buf_take(&text);
}

static const char *shared_directory(void)
{
    const char *shared = getenv("CUBELET_SHARED");
    return shared ? shared : ".";
}

/* Before anything is allocated, because skip() does not return. */
static void skip_without_contract(void)
{
    char *path = xasprintf("%s/wire/core.v1.tsv", shared_directory());
    bool is_there = access(path, R_OK) == 0;
    free(path);
    if (!is_there) {
        print_message("no wire contract in $CUBELET_SHARED/wire\n");
        skip();
    }
}

static char *read_proto(const char *name)
{
    const char *data = getenv("CUBELET_TEST_DATA");
    AUTO(free) char *directory = xasprintf("%s/../../proto", data ? data : "tests/data");
    AUTO(free) char *file = xasprintf("%s.proto", name);
    return read_file(directory, file);
}

/* "map<string, .k8s.io.x.Quantity>" → "map<string,Quantity>"; "A.B" of a nested enum → "B", "A_B"
 * likewise. */
static char *plain_type(struct str text)
{
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    size_t word = 0; /* where the current word begins in @out */
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '.' || c == '_') {
            buf_truncate(&out, word);
        } else if (c != ' ') {
            buf_add_char(&out, c);
            if (c == '<' || c == ',')
                word = out.len;
        }
    }
    return buf_take(&out);
}

static void contract_add(struct contract *contract, struct field field)
{
    assert_true(contract->count < FIELDS_MAX);
    contract->fields[contract->count++] = field;
}

static void contract_done(struct contract *contract)
{
    for (size_t i = 0; i < contract->count; i++) {
        struct field *field = &contract->fields[i];
        free(field->message);
        free(field->name);
        free(field->proto_name);
        free(field->number);
        free(field->type);
        free(field->label);
    }
    free(contract);
}

static char *json_name_for(const char *message, const char *proto_name, bool keeps_names)
{
    char name[FIELD_NAME_SIZE];
    if (keeps_names)
        return xstrdup(proto_name);
    field_name_to_json(proto_name, name);
    for (size_t i = 0; i < ARRAY_SIZE(exceptions); i++) {
        if (text_eq(message, exceptions[i].message) && text_eq(name, exceptions[i].rule_name))
            return xstrdup(exceptions[i].wire_name);
    }
    return xstrdup(name);
}

/* "  optional map<string, string> labels = 11;" */
static void parse_proto_field(struct contract *contract, const struct source *source,
                              const char *message, struct str line)
{
    struct str rest = str_trim(line), label = {.ptr = ""};
    if (str_has_prefix(rest, "optional ") || str_has_prefix(rest, "repeated ")) {
        label = (struct str){.ptr = rest.ptr, .len = 8};
        rest = (struct str){.ptr = rest.ptr + 9, .len = rest.len - 9};
    }
    size_t equals = str_find(rest, '='), semicolon = str_find(rest, ';');
    if (equals == rest.len || semicolon == rest.len)
        return;
    struct str left = str_trim((struct str){.ptr = rest.ptr, .len = equals});
    struct str number =
        str_trim((struct str){.ptr = rest.ptr + equals + 1, .len = semicolon - equals - 1});
    size_t blank = left.len;
    while (blank > 0 && left.ptr[blank - 1] != ' ')
        blank--;
    struct str name = {.ptr = left.ptr + blank, .len = left.len - blank};
    struct field field = {.message = xstrdup(message),
                          .proto_name = str_dup(name),
                          .number = str_dup(number),
                          .label = str_dup(label),
                          .type = plain_type((struct str){.ptr = left.ptr, .len = blank})};
    field.name = json_name_for(message, field.proto_name, source->keeps_names);
    contract_add(contract, field);
}

static struct contract *load_proto(const struct source *source)
{
    struct contract *contract = xcalloc(1, sizeof(*contract));
    AUTO(free) char *text = read_proto(source->proto);
    AUTO(free) char *message = NULL;
    struct str rest = str_from(text), line;
    while (str_split_next(&rest, '\n', &line)) {
        if (str_has_prefix(line, "message ")) {
            size_t end = str_find((struct str){.ptr = line.ptr + 8, .len = line.len - 8}, ' ');
            free(message);
            message = xstrndup(line.ptr + 8, end);
        } else if (str_has_prefix(line, "}") || str_has_prefix(line, "enum ")) {
            free(TAKE(message));
        } else if (message && !str_has_prefix(str_trim(line), "//")) {
            parse_proto_field(contract, source, message, line);
        }
    }
    return contract;
}

/* message, field, number, type, label between tabs; rpc, enum and # lines are other things. */
static struct contract *load_tsv(const struct source *source)
{
    struct contract *contract = xcalloc(1, sizeof(*contract));
    AUTO(free) char *directory = xasprintf("%s/wire", shared_directory());
    AUTO(free) char *file = xasprintf("%s.tsv", source->tsv);
    AUTO(free) char *text = read_file(directory, file);
    struct str rest = str_from(text), line;
    bool is_heading = true;
    while (str_split_next(&rest, '\n', &line)) {
        struct str columns[5] = {{0}}, left = line;
        for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
            str_split_next(&left, '\t', &columns[i]);
        if (is_heading || columns[0].len == 0 || columns[1].len == 0 || columns[0].ptr[0] == '#' ||
            str_eq_c(columns[0], "rpc") || str_eq_c(columns[0], "enum")) {
            is_heading = false;
            continue;
        }
        contract_add(contract, (struct field){.message = str_dup(columns[0]),
                                              .name = str_dup(columns[1]),
                                              .proto_name = xstrdup(""),
                                              .number = str_dup(columns[2]),
                                              .type = plain_type(columns[3]),
                                              .label = str_dup(columns[4])});
    }
    return contract;
}

static struct field *find(struct contract *contract, const char *message, const char *name)
{
    for (size_t i = 0; i < contract->count; i++) {
        struct field *field = &contract->fields[i];
        if (text_eq(field->message, message) && text_eq(field->name, name))
            return field;
    }
    return NULL;
}

/* Where the wire says "optional" and the file says nothing, proto3 means the same. */
static bool is_same_label(const char *ours, const char *theirs)
{
    return text_eq(ours, theirs) || (text_eq(ours, "") && !text_eq(theirs, "repeated"));
}

TEST_CASE(every_field_of_the_wire_contract_is_in_our_files_and_no_other)
{
    skip_without_contract();
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
        struct contract *ours = load_proto(&sources[i]);
        struct contract *theirs = load_tsv(&sources[i]);
        size_t wrong = 0;
        for (size_t k = 0; k < theirs->count; k++) {
            const struct field *want = &theirs->fields[k];
            struct field *have = find(ours, want->message, want->name);
            if (have)
                have->is_seen = true;
            if (have && text_eq(have->number, want->number) && text_eq(have->type, want->type) &&
                is_same_label(have->label, want->label))
                continue;
            print_error("%s: %s.%s: want %s %s %s, have %s %s %s\n", sources[i].proto,
                        want->message, want->name, want->label, want->type, want->number,
                        have ? have->label : "nothing", have ? have->type : "",
                        have ? have->number : "");
            wrong++;
        }
        for (size_t k = 0; k < ours->count; k++) {
            if (ours->fields[k].is_seen)
                continue;
            print_error("%s: %s.%s is not in the contract\n", sources[i].proto,
                        ours->fields[k].message, ours->fields[k].name);
            wrong++;
        }
        assert_true(theirs->count > 0);
        contract_done(ours);
        contract_done(theirs);
        assert_int_equal(wrong, 0);
    }
}

static bool has_scalar(struct contract *const *contracts, const char *message, struct str field)
{
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
        size_t prefix = strlen(sources[i].proto);
        if (!text_has_prefix(message, sources[i].proto) || message[prefix] != '.')
            continue;
        for (size_t k = 0; k < contracts[i]->count; k++) {
            const struct field *have = &contracts[i]->fields[k];
            if (text_eq(have->message, message + prefix + 1) && str_eq_c(field, have->proto_name) &&
                text_eq(have->label, "optional"))
                return true;
        }
    }
    return false;
}

TEST_CASE(every_row_about_zeros_names_a_field_and_the_rows_are_sorted)
{
    struct contract *contracts[ARRAY_SIZE(sources)];
    size_t wrong = 0;
    const char *previous = "";
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
        contracts[i] = load_proto(&sources[i]);
    for (size_t i = 0; i < codec_zero_row_count(); i++) {
        const char *fields;
        const char *message = codec_zero_row(i, &fields);
        struct str rest = str_from(fields), field;
        while (str_split_next(&rest, ' ', &field)) {
            if (has_scalar(contracts, message, field))
                continue;
            print_error("%s has no field %.*s\n", message, STR_ARG(field));
            wrong++;
        }
        if (strcmp(previous, message) >= 0) {
            print_error("%s does not come after %s\n", message, previous);
            wrong++;
        }
        previous = message;
    }
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
        contract_done(contracts[i]);
    assert_int_equal(wrong, 0);
}

TEST_CASE(names_follow_the_rule_and_the_acronyms)
{
    static const struct {
        const char *proto, *json;
    } rows[] = {
        {"name", "name"},
        {"restart_policy", "restartPolicy"},
        {"pod_ips", "podIPs"},
        {"host_pid", "hostPID"},
        {"volume_id", "volumeID"},
        {"disk_uri", "diskURI"},
        {"cluster_ips", "clusterIPs"},
        {"target_wwns", "targetWWNs"},
        {"set_hostname_as_fqdn", "setHostnameAsFQDN"},
        {"downward_api", "downwardAPI"},
        {"scale_io", "scaleIO"},
        {"fields_v1", "fieldsV1"},
        {"pod_cidrs", "podCIDRs"},
        {"os_image", "osImage"},
        {"ip_families", "ipFamilies"},
        {"image_gc_high_threshold_percent", "imageGCHighThresholdPercent"},
        {"make_iptables_util_chains", "makeIPTablesUtilChains"},
        {"iptables_drop_bit", "iptablesDropBit"},
        {"pod_pids_limit", "podPidsLimit"},
        {"server_tls_bootstrap", "serverTLSBootstrap"},
        {"kube_api_qps", "kubeAPIQPS"},
        {"cpu_cfs_quota_period", "cpuCFSQuotaPeriod"},
        {"cgroups_per_qos", "cgroupsPerQOS"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(kube_json_name(rows[i].proto, arena), rows[i].json);
}

TEST_MAIN(TEST(every_field_of_the_wire_contract_is_in_our_files_and_no_other),
          TEST(every_row_about_zeros_names_a_field_and_the_rows_are_sorted),
          TEST(names_follow_the_rule_and_the_acronyms))
