#include "kube/document.h"
#include "tests/unit/kube/doc_text.h"

#include "core.pb-c.h"
#include "meta.pb-c.h"

#include <stdio.h>
#include <unistd.h>

static const struct kube_decode_options strict = {.unknown = KUBE_UNKNOWN_STRICT};

TEST_CASE(an_object_becomes_the_tree_of_its_json_and_back)
{
    static const char text[] =
        "{'kind':'Pod','apiVersion':'v1','metadata':{'name':'a','creationTimestamp':'2026-01-02T03:"
        "04:05Z','labels':{'a':'1','b':''}},'spec':{'containers':[{'name':'c','ports':[{"
        "'containerPort':80}],'resources':{'limits':{'cpu':'100m'}},'livenessProbe':{'httpGet':{"
        "'port':'web'},'periodSeconds':3}}],'terminationGracePeriodSeconds':0}}";
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct kube_type_meta type = {.api_version = "v1", .kind = "Pod"};
    ProtobufCMessage *pod = NULL;
    const struct doc_node *node = NULL;
    assert_no_error(
        kube_decode_document(doc_parse(text, arena), &core__pod__descriptor, &strict, arena, &pod));
    assert_no_error(kube_message_to_document(pod, &type, arena, &node));
    assert_doc("with kind", node, text, arena);
    assert_no_error(kube_message_to_document(pod, NULL, arena, &node));
    assert_null(doc_get(node, "kind"));

    ProtobufCMessage *back = NULL;
    assert_no_error(kube_decode_document(node, &core__pod__descriptor, &strict, arena, &back));
    assert_true(kube_message_eq(pod, back));
}

/* Raw fields are trees of their own and may be as deep as a whole document. */
TEST_CASE(an_object_that_is_too_deep_is_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text;
    ProtobufCMessage *pod = NULL;
    const struct doc_node *node = NULL;
    Meta__FieldsV1 fields = META__FIELDS_V1__INIT;
    Meta__ManagedFieldsEntry entry = META__MANAGED_FIELDS_ENTRY__INIT, *entries[] = {&entry};
    buf_init(&text, KiB);
    for (int i = 0; i < DOC_MAX_DEPTH; i++)
        buf_add_char(&text, '[');
    for (int i = 0; i < DOC_MAX_DEPTH; i++)
        buf_add_char(&text, ']');
    assert_no_error(kube_decode_document(doc_parse("{'metadata':{}}", arena),
                                         &core__pod__descriptor, &strict, arena, &pod));
    fields.has_raw = true;
    fields.raw.data = (uint8_t *)text.data;
    fields.raw.len = text.len;
    entry.fields_v1 = &fields;
    ((Core__Pod *)pod)->metadata->managed_fields = entries;
    ((Core__Pod *)pod)->metadata->n_managed_fields = 1;
    assert_error_code(kube_message_to_document(pod, NULL, arena, &node), ERROR_RESOURCE_EXHAUSTED);
}

TEST_CASE(the_type_of_a_field_says_how_it_merges)
{
    static const struct {
        const char *path; /* from a pod; [] is an element */
        enum kube_shape shape;
        bool is_atomic, is_merged;
        const char *merge_key, *apply_keys;
    } rows[] = {
        {"kind", KUBE_SHAPE_SCALAR, false, false, "", ""},
        {"metadata", KUBE_SHAPE_STRUCT, false, false, "", ""},
        {"metadata.labels", KUBE_SHAPE_MAP, false, false, "", ""},
        {"metadata.labels.x", KUBE_SHAPE_SCALAR, false, false, "", ""},
        {"metadata.finalizers", KUBE_SHAPE_LIST, false, true, "", ""},
        {"metadata.ownerReferences", KUBE_SHAPE_LIST, false, true, "uid", "uid"},
        {"metadata.ownerReferences.[]", KUBE_SHAPE_STRUCT, true, false, "", ""},
        {"metadata.managedFields.[].fieldsV1", KUBE_SHAPE_ANY, false, false, "", ""},
        {"metadata.managedFields.[].fieldsV1.x", KUBE_SHAPE_ANY, false, false, "", ""},
        {"spec.nodeSelector", KUBE_SHAPE_MAP, true, false, "", ""},
        {"spec.containers", KUBE_SHAPE_LIST, false, true, "name", "name"},
        {"spec.containers.[].args", KUBE_SHAPE_LIST, true, false, "", ""},
        {"spec.containers.[].args.[]", KUBE_SHAPE_SCALAR, false, false, "", ""},
        {"spec.containers.[].ports", KUBE_SHAPE_LIST, false, true, "containerPort",
         "containerPort protocol"},
        {"spec.containers.[].resources.limits", KUBE_SHAPE_MAP, false, false, "", ""},
        {"spec.containers.[].resources.limits.cpu", KUBE_SHAPE_SCALAR, false, false, "", ""},
        {"spec.containers.[].livenessProbe.httpGet.port", KUBE_SHAPE_SCALAR, false, false, "", ""},
        {"spec.ephemeralContainers.[].env", KUBE_SHAPE_LIST, false, true, "name", "name"},
        {"spec.volumes.[].configMap.name", KUBE_SHAPE_SCALAR, false, false, "", ""},
        {"spec.imagePullSecrets.[]", KUBE_SHAPE_STRUCT, true, false, "", ""},
        {"spec.topologySpreadConstraints", KUBE_SHAPE_LIST, false, true, "topologyKey",
         "topologyKey whenUnsatisfiable"},
        {"spec.tolerations", KUBE_SHAPE_LIST, true, false, "", ""},
        {"status.hostIPs", KUBE_SHAPE_LIST, true, true, "ip", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct kube_value_type type = kube_type_of_object(&core__pod__descriptor);
        struct str rest = str_from(rows[i].path), step;
        while (str_split_next(&rest, '.', &step)) {
            struct kube_value_type owner = type;
            if (str_eq_c(step, "[]"))
                type = kube_type_of_element(&owner);
            else if (!kube_type_of_member(&owner, step, &type))
                fail_msg("%s: no %.*s", rows[i].path, STR_ARG(step));
        }
        if (type.shape != rows[i].shape || type.is_atomic != rows[i].is_atomic ||
            type.rule.is_merged != rows[i].is_merged ||
            !text_eq(type.rule.merge_key, rows[i].merge_key) ||
            !text_eq(type.rule.apply_keys, rows[i].apply_keys))
            fail_msg("%s: shape %d, atomic %d, merged %d by \"%s\", applied by \"%s\"",
                     rows[i].path, (int)type.shape, type.is_atomic, type.rule.is_merged,
                     type.rule.merge_key, type.rule.apply_keys);
    }
}

TEST_CASE(unknown_fields_have_no_type)
{
    struct kube_value_type pod = kube_type_of_object(&core__pod__descriptor), metadata, type;
    assert_false(kube_type_of_member(&pod, STR_LITERAL("x"), &type));
    assert_true(kube_type_of_member(&pod, STR_LITERAL("metadata"), &metadata));
    assert_false(kube_type_of_member(&metadata, STR_LITERAL("kind"), &type));
    assert_false(kube_type_of_member(&metadata, STR_LITERAL(""), &type));
}

/* group, struct, field, strategy, merge key → "core.PodSpec" and so on. */
static void check_row(const char *line, const struct kube_patch_row *row)
{
    struct str rest = str_trim(str_from(line)), cells[5] = {{0}};
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        if (!str_split_next(&rest, '\t', &cells[i]))
            cells[i] = (struct str){.ptr = "", .len = 0};
    }
    AUTO(free) char *group = xstrndup(cells[0].ptr, str_find(cells[0], '.'));
    AUTO(free) char *message = xasprintf("%s.%.*s", group, STR_ARG(cells[1]));
    assert_string_equal(row->message, message);
    assert_true(str_eq_c(cells[2], row->field));
    assert_true(str_eq_c(cells[3], row->strategy));
    assert_true(str_eq_c(cells[4], row->merge_key));
}

TEST_CASE(the_patch_table_is_that_of_the_wire_facts)
{
    const char *shared = getenv("CUBELET_SHARED");
    AUTO(free) char *path = xasprintf("%s/wire/patch-keys.tsv", shared ? shared : "");
    if (access(path, R_OK) != 0) {
        print_message("no wire facts at %s\n", path);
        skip();
    }
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char *line = NULL;
    size_t size = 0, row_count = 0, at = 0;
    const struct kube_patch_row *table = kube_patch_rows(&row_count);
    bool is_head = true;
    while (getline(&line, &size, file) > 0) {
        if (!is_head) {
            assert_true(at < row_count);
            check_row(line, &table[at++]);
        }
        is_head = false;
    }
    free(line);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(at, row_count);
}

TEST_MAIN(TEST(an_object_becomes_the_tree_of_its_json_and_back),
          TEST(an_object_that_is_too_deep_is_refused), TEST(the_type_of_a_field_says_how_it_merges),
          TEST(unknown_fields_have_no_type), TEST(the_patch_table_is_that_of_the_wire_facts))
