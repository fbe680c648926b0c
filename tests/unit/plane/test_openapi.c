#include "plane/openapi.h"

#include "tests/lib/test.h"
#include "wire/json.h"

#include "openapi_v2.pb-c.h"

#define PROTOBUF_V2 "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
#define PROTOBUF_V2_OLD "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
#define CORE "io.k8s.api.core.v1."
#define META "io.k8s.apimachinery.pkg.apis.meta.v1."
#define GVK "x-kubernetes-group-version-kind"

static Meta__Status *ask(const char *path, const char *accept, struct arena *arena,
                         struct discovery_reply *ret)
{
    struct http_target target;
    assert_no_error(http_target_parse(str_from(path), arena, &target));
    *ret = (struct discovery_reply){0};
    buf_init(&ret->body, 16 * MiB);
    return openapi_reply(&target, accept, arena, ret);
}

static const struct doc_node *get(const char *path, struct arena *arena)
{
    struct discovery_reply reply;
    assert_null(ask(path, "application/json", arena, &reply));
    assert_int_equal(reply.code, 200);
    assert_string_equal(reply.content_type, "application/json");
    const struct doc_parse_options options = {.max_bytes = 16 * MiB, .reject_duplicates = true};
    const struct doc_node *node;
    assert_no_error(json_parse(buf_str(&reply.body), &options, arena, &node));
    buf_done(&reply.body);
    return node;
}

/* The node at keys separated by blanks, each of which must be there. */
static const struct doc_node *at(const struct doc_node *node, const char *keys)
{
    struct str rest = str_from(keys);
    struct str key;
    while (str_split_next(&rest, ' ', &key)) {
        AUTO(free) char *text = str_dup(key);
        node = doc_get(node, text);
        if (!node)
            fail_msg("no %s of %s", text, keys);
    }
    return node;
}

static const char *text_at(const struct doc_node *node, const char *keys)
{
    return at(node, keys)->string.ptr;
}

static const char *joined(const struct doc_node *array, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < array->array.count; i++)
        text = arena_printf(arena, "%s%s%s", text, i > 0 ? "," : "",
                            array->array.items[i]->string.ptr);
    return text;
}

/* --- references --- */

/* NOLINTNEXTLINE(misc-no-recursion): documents are at most DOC_MAX_DEPTH deep */
static size_t check_refs(const struct doc_node *node, const struct doc_node *definitions,
                         const char *prefix)
{
    size_t count = 0;
    if (node->kind == DOC_ARRAY) {
        for (size_t i = 0; i < node->array.count; i++)
            count += check_refs(node->array.items[i], definitions, prefix);
    }
    for (size_t i = 0; node->kind == DOC_OBJECT && i < node->object.count; i++) {
        const struct doc_member *member = &node->object.members[i];
        bool is_ref = str_eq_c(member->key, "$ref") && member->value->kind == DOC_STRING;
        if (!is_ref) {
            count += check_refs(member->value, definitions, prefix);
            continue;
        }
        const char *ref = member->value->string.ptr;
        if (!text_has_prefix(ref, prefix) || !doc_get(definitions, ref + strlen(prefix)))
            fail_msg("%s leads nowhere", ref);
        count++;
    }
    return count;
}

TEST_CASE(every_reference_of_v2_leads_somewhere)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *document = get("/openapi/v2", arena);
    assert_string_equal(text_at(document, "swagger"), "2.0");
    assert_true(check_refs(document, at(document, "definitions"), "#/definitions/") > 500);
}

TEST_CASE(every_document_of_the_v3_index_is_whole)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *paths = at(get("/openapi/v3", arena), "paths");
    assert_non_null(doc_get(paths, "api/v1"));
    assert_non_null(doc_get(paths, "apis/storage.k8s.io/v1"));
    for (size_t i = 0; i < paths->object.count; i++) {
        AUTO(arena) struct arena *own = arena_new(0);
        const struct doc_node *document =
            get(text_at(paths->object.members[i].value, "serverRelativeURL"), own);
        assert_string_equal(text_at(document, "openapi"), "3.0.0");
        assert_true(
            check_refs(document, at(document, "components schemas"), "#/components/schemas/") > 10);
    }
}

/* --- schemas --- */

TEST_CASE(schemas_have_the_types_of_fields)
{
    static const struct {
        const char *keys, *want;
    } rows[] = {
        {CORE "Container properties name type", "string"},
        {CORE "ContainerPort properties containerPort type", "integer"},
        {CORE "ContainerPort properties containerPort format", "int32"},
        {CORE "PodSpec properties terminationGracePeriodSeconds format", "int64"},
        {CORE "PodSpec properties hostNetwork type", "boolean"},
        {CORE "Secret properties data type", "object"},
        {CORE "Secret properties data additionalProperties format", "byte"},
        {CORE "ConfigMap properties data additionalProperties type", "string"},
        {CORE "Container properties command items type", "string"},
        {CORE "Container properties env items $ref", "#/definitions/" CORE "EnvVar"},
        {CORE "ResourceRequirements properties limits additionalProperties $ref",
         "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity"},
        {CORE "TCPSocketAction properties port $ref",
         "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
        {"io.k8s.apimachinery.pkg.util.intstr.IntOrString format", "int-or-string"},
        {"io.k8s.apimachinery.pkg.api.resource.Quantity type", "string"},
        {META "Time format", "date-time"},
        {META "MicroTime format", "date-time"},
        {META "FieldsV1 type", "object"},
        {META "Patch type", "object"},
        {META "ObjectMeta properties creationTimestamp $ref", "#/definitions/" META "Time"},
        /* what JSON shows in its owner */
        {CORE "Volume properties emptyDir $ref", "#/definitions/" CORE "EmptyDirVolumeSource"},
        {CORE "Probe properties httpGet $ref", "#/definitions/" CORE "HTTPGetAction"},
        /* the one name that begins with a capital */
        {CORE "DaemonEndpoint properties Port type", "integer"},
        /* a message that is a list of texts */
        {"io.k8s.api.authentication.v1.UserInfo properties extra additionalProperties type",
         "array"},
        {"io.k8s.api.authentication.v1.UserInfo properties extra additionalProperties items type",
         "string"},
        {CORE "Pod properties spec $ref", "#/definitions/" CORE "PodSpec"},
        {CORE "PodList properties items items $ref", "#/definitions/" CORE "Pod"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *definitions = at(get("/openapi/v2", arena), "definitions");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(text_at(definitions, rows[i].keys), rows[i].want);
    assert_null(doc_get(definitions, "io.k8s.api.authentication.v1.ExtraValue"));
    assert_null(doc_get(at(definitions, CORE "Volume properties"), "volumeSource"));
}

TEST_CASE(v3_says_what_v2_cannot)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *schemas = at(get("/openapi/v3/api/v1", arena), "components schemas");
    const struct doc_node *union_ =
        at(schemas, "io.k8s.apimachinery.pkg.util.intstr.IntOrString oneOf");
    assert_string_equal(text_at(union_->array.items[0], "type"), "integer");
    assert_string_equal(text_at(union_->array.items[1], "type"), "string");
    /* Beside a reference nothing may stand. */
    const struct doc_node *all = at(schemas, CORE "Pod properties spec allOf");
    assert_string_equal(text_at(all->array.items[0], "$ref"),
                        "#/components/schemas/" CORE "PodSpec");
    assert_non_null(at(schemas, CORE "Pod properties spec description"));
}

TEST_CASE(schemas_say_how_lists_are_merged)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *definitions = at(get("/openapi/v2", arena), "definitions");
    const struct doc_node *volumes = at(definitions, CORE "PodSpec properties volumes");
    assert_string_equal(text_at(volumes, "x-kubernetes-patch-strategy"), "merge,retainKeys");
    assert_string_equal(text_at(volumes, "x-kubernetes-patch-merge-key"), "name");
    assert_string_equal(text_at(volumes, "x-kubernetes-list-type"), "map");
    const struct doc_node *ports = at(definitions, CORE "Container properties ports");
    assert_string_equal(joined(at(ports, "x-kubernetes-list-map-keys"), arena),
                        "containerPort,protocol");
    assert_string_equal(text_at(ports, "x-kubernetes-patch-merge-key"), "containerPort");
    const struct doc_node *finalizers = at(definitions, META "ObjectMeta properties finalizers");
    assert_string_equal(text_at(finalizers, "x-kubernetes-list-type"), "set");
    assert_string_equal(text_at(finalizers, "x-kubernetes-patch-strategy"), "merge");
    assert_null(doc_get(finalizers, "x-kubernetes-patch-merge-key"));
    assert_string_equal(text_at(definitions, META "LabelSelector x-kubernetes-map-type"), "atomic");
    assert_string_equal(
        text_at(definitions, CORE "PodSpec properties nodeSelector x-kubernetes-map-type"),
        "atomic");
    assert_string_equal(
        text_at(definitions, CORE "PersistentVolumeSpec properties claimRef x-kubernetes-map-type"),
        "granular");
}

TEST_CASE(what_must_be_there_is_named)
{
    static const struct {
        const char *type, *want;
    } rows[] = {
        {CORE "Container", "name"},
        {CORE "EphemeralContainer", "name"}, /* of a message that is shown in it */
        {CORE "PodSpec", "containers"},
        {CORE "Volume", "name"},
        {CORE "ContainerPort", "containerPort"},
        {CORE "VolumeMount", "name,mountPath"},
        {META "OwnerReference", "kind,name,uid,apiVersion"},
        {"io.k8s.api.storage.v1.VolumeAttachment", "spec"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *definitions = at(get("/openapi/v2", arena), "definitions");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct doc_node *type = doc_get(definitions, rows[i].type);
        assert_string_equal(joined(at(type, "required"), arena), rows[i].want);
    }
    assert_null(doc_get(doc_get(definitions, CORE "Pod"), "required"));
}

/* Otherwise the table names something that is not there. */
TEST_CASE(required_fields_are_properties)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *definitions = at(get("/openapi/v2", arena), "definitions");
    size_t seen = 0;
    for (size_t i = 0; i < definitions->object.count; i++) {
        const struct doc_node *type = definitions->object.members[i].value;
        const struct doc_node *required = doc_get(type, "required");
        for (size_t r = 0; required && r < required->array.count; r++, seen++)
            assert_non_null(doc_get(at(type, "properties"), required->array.items[r]->string.ptr));
    }
    assert_true(seen > 100);
}

TEST_CASE(kinds_are_described_and_named)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *definitions = at(get("/openapi/v2", arena), "definitions");
    size_t rows;
    const struct resource *table = resource_table(&rows);
    for (size_t i = 0; i < rows; i++) {
        const struct kube_kind *kind = table[i].kind;
        bool is_found = false;
        for (size_t d = 0; d < definitions->object.count && !is_found; d++) {
            const struct doc_node *type = definitions->object.members[d].value;
            const struct doc_node *kinds = doc_get(type, GVK);
            if (!kinds || strcmp(text_at(kinds->array.items[0], "kind"), kind->kind) != 0 ||
                strcmp(text_at(kinds->array.items[0], "group"), kind->group) != 0)
                continue;
            is_found = true;
            assert_string_equal(text_at(kinds->array.items[0], "version"), kind->version);
            if (!doc_get(type, "description"))
                fail_msg("%s has no description", kind->kind);
            assert_non_null(at(type, "properties apiVersion description"));
            assert_non_null(at(type, "properties kind"));
        }
        if (!is_found)
            fail_msg("%s has no definition", kind->kind);
    }
}

/* --- paths --- */

static const struct doc_node *find_parameter(const struct doc_node *operation, const char *name)
{
    const struct doc_node *parameters = at(operation, "parameters");
    for (size_t i = 0; i < parameters->array.count; i++) {
        if (strcmp(text_at(parameters->array.items[i], "name"), name) == 0)
            return parameters->array.items[i];
    }
    return NULL;
}

TEST_CASE(operations_say_what_they_do_and_to_what)
{
    static const struct {
        const char *path, *method, *id, *action, *kind;
    } rows[] = {
        {"/api/v1/pods", "get", "listCoreV1PodForAllNamespaces", "list", "Pod"},
        {"/api/v1/namespaces/{namespace}/pods", "post", "createCoreV1NamespacedPod", "post", "Pod"},
        {"/api/v1/namespaces/{namespace}/pods", "delete", "deleteCoreV1CollectionNamespacedPod",
         "deletecollection", "Pod"},
        {"/api/v1/namespaces/{namespace}/pods/{name}", "get", "readCoreV1NamespacedPod", "get",
         "Pod"},
        {"/api/v1/namespaces/{namespace}/pods/{name}/status", "patch",
         "patchCoreV1NamespacedPodStatus", "patch", "Pod"},
        {"/api/v1/namespaces/{namespace}/pods/{name}/eviction", "post",
         "createCoreV1NamespacedPodEviction", "post", "Eviction"},
        {"/api/v1/namespaces/{namespace}/pods/{name}/log", "get", "readCoreV1NamespacedPodLog",
         "get", "Pod"},
        {"/api/v1/namespaces/{namespace}/pods/{name}/exec", "post",
         "connectCoreV1PostNamespacedPodExec", "connect", "PodExecOptions"},
        {"/api/v1/nodes/{name}", "put", "replaceCoreV1Node", "put", "Node"},
        {"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", "get",
         "listCoordinationV1NamespacedLease", "list", "Lease"},
        {"/apis/authentication.k8s.io/v1/tokenreviews", "post", "createAuthenticationV1TokenReview",
         "post", "TokenReview"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *paths = at(get("/openapi/v2", arena), "paths");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct doc_node *operation = at(at(paths, rows[i].path), rows[i].method);
        assert_string_equal(text_at(operation, "operationId"), rows[i].id);
        assert_string_equal(text_at(operation, "x-kubernetes-action"), rows[i].action);
        assert_string_equal(text_at(operation, GVK " kind"), rows[i].kind);
    }
    assert_null(doc_get(at(paths, "/api/v1/pods"), "post"));
    assert_null(doc_get(paths, "/apis/authentication.k8s.io/v1/tokenreviews/{name}"));
}

/* By these kubectl tells that it may leave checking to the server. */
TEST_CASE(a_patch_can_be_tried_and_checked_by_the_server)
{
    static const char *const names[] = {"dryRun", "fieldManager", "fieldValidation", "force"};
    static const char *const documents[] = {"/openapi/v2", "/openapi/v3/api/v1"};
    for (size_t d = 0; d < ARRAY_SIZE(documents); d++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_node *patch =
            at(get(documents[d], arena), "paths /api/v1/namespaces/{namespace}/pods/{name} patch");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            const struct doc_node *parameter = find_parameter(patch, names[i]);
            assert_non_null(parameter);
            assert_string_equal(text_at(parameter, "in"), "query");
            assert_non_null(at(parameter, d == 0 ? "type" : "schema type"));
        }
    }
}

TEST_CASE(paths_take_the_names_they_show)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *paths = at(get("/openapi/v2", arena), "paths");
    for (size_t i = 0; i < paths->object.count; i++) {
        const struct doc_member *member = &paths->object.members[i];
        bool has_name = strstr(member->key.ptr, "{name}") != NULL;
        bool has_namespace = strstr(member->key.ptr, "{namespace}") != NULL;
        assert_int_equal(find_parameter(member->value, "name") != NULL, has_name);
        assert_int_equal(find_parameter(member->value, "namespace") != NULL, has_namespace);
    }
}

/* --- protobuf --- */

static const Openapi__Schema *find_schema(const Openapi__Definitions *definitions, const char *name)
{
    for (size_t i = 0; i < definitions->n_additional_properties; i++) {
        if (strcmp(definitions->additional_properties[i]->name, name) == 0)
            return definitions->additional_properties[i]->value;
    }
    fail_msg("no definition of %s", name);
    return NULL;
}

static const Openapi__Schema *find_property(const Openapi__Schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->properties->n_additional_properties; i++) {
        if (strcmp(schema->properties->additional_properties[i]->name, name) == 0)
            return schema->properties->additional_properties[i]->value;
    }
    fail_msg("no property %s", name);
    return NULL;
}

static const char *find_extension(Openapi__NamedAny *const *items, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i]->name, name) == 0)
            return items[i]->value->yaml;
    }
    return NULL;
}

struct unpacked {
    struct discovery_reply reply;
    Openapi__Document *document;
    Openapi__Paths *paths;
    Openapi__Definitions *definitions;
};

static struct unpacked unpack(const char *accept, struct arena *arena)
{
    struct unpacked all = {.document = NULL};
    assert_null(ask("/openapi/v2", accept, arena, &all.reply));
    assert_string_equal(all.reply.content_type, PROTOBUF_V2);
    ProtobufCAllocator allocator = kube_arena_allocator(arena);
    all.document = openapi__document__unpack(&allocator, all.reply.body.len,
                                             (const uint8_t *)all.reply.body.data);
    assert_non_null(all.document);
    all.paths =
        openapi__paths__unpack(&allocator, all.document->paths.len, all.document->paths.data);
    all.definitions = openapi__definitions__unpack(&allocator, all.document->definitions.len,
                                                   all.document->definitions.data);
    assert_non_null(all.paths);
    assert_non_null(all.definitions);
    buf_done(&all.reply.body);
    return all;
}

TEST_CASE(the_protobuf_document_says_the_same_as_the_json)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct unpacked all = unpack(PROTOBUF_V2_OLD, arena);
    const struct doc_node *json = get("/openapi/v2", arena);
    assert_string_equal(all.document->swagger, "2.0");
    assert_string_equal(all.document->info->version, text_at(json, "info version"));
    assert_int_equal(all.paths->n_path, at(json, "paths")->object.count);
    const struct doc_node *definitions = at(json, "definitions");
    assert_int_equal(all.definitions->n_additional_properties, definitions->object.count);
    for (size_t i = 0; i < definitions->object.count; i++) {
        const struct doc_node *node = definitions->object.members[i].value;
        const Openapi__Schema *schema = all.definitions->additional_properties[i]->value;
        assert_string_equal(all.definitions->additional_properties[i]->name,
                            definitions->object.members[i].key.ptr);
        const struct doc_node *properties = doc_get(node, "properties");
        const struct doc_node *required = doc_get(node, "required");
        assert_int_equal(schema->properties ? schema->properties->n_additional_properties : 0,
                         properties ? properties->object.count : 0);
        assert_int_equal(schema->n_required, required ? required->array.count : 0);
    }
}

TEST_CASE(protobuf_schemas_are_as_gnostic_reads_them)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct unpacked all = unpack(PROTOBUF_V2, arena);
    const Openapi__Schema *pod = find_schema(all.definitions, CORE "Pod");
    assert_string_equal(pod->type->value[0], "object");
    assert_string_equal(find_property(pod, "spec")->ref, "#/definitions/" CORE "PodSpec");
    assert_string_equal(find_extension(pod->vendor_extension, pod->n_vendor_extension, GVK),
                        "[{\"group\":\"\",\"kind\":\"Pod\",\"version\":\"v1\"}]\n");
    const Openapi__Schema *spec = find_schema(all.definitions, CORE "PodSpec");
    const Openapi__Schema *containers = find_property(spec, "containers");
    assert_string_equal(containers->type->value[0], "array");
    assert_string_equal(containers->items->schema[0]->ref, "#/definitions/" CORE "Container");
    assert_string_equal(find_extension(containers->vendor_extension, containers->n_vendor_extension,
                                       "x-kubernetes-patch-merge-key"),
                        "\"name\"\n");
    const Openapi__Schema *extra = find_property(
        find_schema(all.definitions, "io.k8s.api.authentication.v1.UserInfo"), "extra");
    assert_string_equal(extra->additional_properties->schema->items->schema[0]->type->value[0],
                        "string");
}

TEST_CASE(protobuf_operations_have_parameters_and_kinds)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct unpacked all = unpack(PROTOBUF_V2, arena);
    const Openapi__PathItem *item = NULL;
    for (size_t i = 0; i < all.paths->n_path; i++) {
        if (strcmp(all.paths->path[i]->name, "/api/v1/nodes/{name}") == 0)
            item = all.paths->path[i]->value;
    }
    assert_non_null(item);
    const Openapi__Operation *patch = item->patch;
    assert_non_null(patch);
    assert_string_equal(find_extension(patch->vendor_extension, patch->n_vendor_extension, GVK),
                        "{\"group\":\"\",\"kind\":\"Node\",\"version\":\"v1\"}\n");
    assert_string_equal(patch->parameters[0]->parameter->body_parameter->schema->ref,
                        "#/definitions/" META "Patch");
    assert_string_equal(patch->parameters[1]->parameter->non_body_parameter->query->name, "dryRun");
    assert_string_equal(item->parameters[0]->parameter->non_body_parameter->path->name, "name");
    assert_true(item->parameters[0]->parameter->non_body_parameter->path->required);
    assert_string_equal(patch->responses->response_code[0]->value->response->schema->schema->ref,
                        "#/definitions/" CORE "Node");
}

/* --- the door --- */

TEST_CASE(what_is_not_there_or_not_offered_is_refused)
{
    static const struct {
        const char *path, *accept;
        int code;
    } rows[] = {
        {"/openapi", "", 404},
        {"/openapi/v1", "", 404},
        {"/openapi/v2/x", "", 404},
        {"/openapi/v3/api", "", 404},
        {"/openapi/v3/api/v2", "", 404},
        {"/openapi/v3/apis//v1", "", 404},
        {"/openapi/v3/apis/example.com/v1", "", 404},
        {"/openapi/v3/apis/storage.k8s.io/v1/x", "", 404},
        {"/openapi/v3/api/v1", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf", 406},
        {"/openapi/v2", "text/html", 406},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct discovery_reply reply;
        Meta__Status *failure = ask(rows[i].path, rows[i].accept, arena, &reply);
        assert_non_null(failure);
        assert_int_equal(failure->code, rows[i].code);
        buf_done(&reply.body);
    }
}

TEST_CASE(the_first_type_that_is_offered_is_taken)
{
    static const struct {
        const char *accept, *want;
    } rows[] = {
        {"", "application/json"},
        {"*/*", "application/json"},
        {"application/json, " PROTOBUF_V2, "application/json"},
        {PROTOBUF_V2_OLD, PROTOBUF_V2},
        {"text/html, " PROTOBUF_V2 ", application/json", PROTOBUF_V2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct discovery_reply reply;
        assert_null(ask("/openapi/v2", rows[i].accept, arena, &reply));
        assert_string_equal(reply.content_type, rows[i].want);
        buf_done(&reply.body);
    }
}

TEST_MAIN(TEST(every_reference_of_v2_leads_somewhere),
          TEST(every_document_of_the_v3_index_is_whole), TEST(schemas_have_the_types_of_fields),
          TEST(v3_says_what_v2_cannot), TEST(schemas_say_how_lists_are_merged),
          TEST(what_must_be_there_is_named), TEST(required_fields_are_properties),
          TEST(kinds_are_described_and_named), TEST(operations_say_what_they_do_and_to_what),
          TEST(a_patch_can_be_tried_and_checked_by_the_server),
          TEST(paths_take_the_names_they_show),
          TEST(the_protobuf_document_says_the_same_as_the_json),
          TEST(protobuf_schemas_are_as_gnostic_reads_them),
          TEST(protobuf_operations_have_parameters_and_kinds),
          TEST(what_is_not_there_or_not_offered_is_refused),
          TEST(the_first_type_that_is_offered_is_taken))
