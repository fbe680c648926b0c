#include "tests/unit/plane/rest_bed.h"

#include "base/path.h"
#include "plane/authz.h"
#include "plane/facts.h"
#include "plane/route.h"
#include "tests/lib/tempdir.h"
#include "wire/json.h"

#define TURNS_MAX 2000
#define REPLY_MAX_BYTES (32 * MiB)

static const char *const admin_groups[] = {GROUP_MASTERS, GROUP_AUTHENTICATED};

void rest_bed_become_admin(struct rest_bed *bed)
{
    bed->user = (struct plane_user){
        .name = "admin", .uid = "", .groups = {admin_groups, ARRAY_SIZE(admin_groups)}};
}

void rest_bed_become(struct rest_bed *bed, const char *name, const char *group)
{
    const char **groups = arena_calloc(bed->arena, 2, sizeof(*groups));
    groups[0] = GROUP_AUTHENTICATED;
    groups[1] = group;
    bed->user = (struct plane_user){
        .name = name, .uid = "", .groups = {.items = groups, .count = group ? 2 : 1}};
}

static void make_namespace(struct rest_bed *bed, const char *name)
{
    const char *body = arena_printf(
        bed->arena, "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\"}}",
        name);
    rest_must(bed, "POST", "/api/v1/namespaces", body);
}

struct rest_bed *rest_bed_new(void)
{
    struct rest_bed *bed = xcalloc(1, sizeof(*bed));
    bed->dir = tempdir_new();
    bed->arena = arena_new(0);
    bed->now_ns = REST_BED_NOW_NS;
    bed->content_type = bed->accept = "application/json";
    bed->user_agent = "test/1.0";
    bed->world = (struct plane_world){
        .node_name = "node-a",
        .service_range = "10.96.0.0/12",
        .ca_pem = "",
        .issuer = "https://kubernetes.default.svc.cluster.local",
    };
    rest_bed_become_admin(bed);
    assert_no_error(loop_new(&bed->loop));
    bed->pool = work_pool_new(bed->loop, 0);
    AUTO(free) char *path = path_join(bed->dir, "objects.db");
    const struct store_options options = {.path = path, .is_unsynced = true};
    assert_no_error(store_open(bed->loop, bed->pool, &options, &bed->store));
    make_namespace(bed, "default");
    make_namespace(bed, "kube-system");
    rest_must(bed, "POST", "/api/v1/namespaces/default/serviceaccounts",
              "{\"metadata\":{\"name\":\"default\"}}");
    return bed;
}

static void drop_reply(struct rest_bed *bed)
{
    buf_done(&bed->reply.body);
    bed->reply = (struct plane_reply){0};
    bed->document = NULL;
    arena_free(TAKE(bed->reply_arena));
}

void rest_bed_free(struct rest_bed *bed)
{
    drop_reply(bed);
    work_pool_free(bed->pool, 0);
    store_close(bed->store);
    loop_free(bed->loop);
    tempdir_free(bed->dir);
    arena_free(bed->arena);
    free(bed);
}

/* --- a request as a task --- */

struct asking {
    struct rest_bed *bed;
    struct http_target target;
    struct plane_request request;
    bool is_done;
};

static struct error *run(void *ctx)
{
    struct asking *asking = ctx;
    struct rest_bed *bed = asking->bed;
    struct rest_env env = {.world = &bed->world,
                           .store = bed->store,
                           .arena = bed->reply_arena,
                           .now_wall_ns = bed->now_ns,
                           .usage = bed->usage};
    const struct authz_policy policy = {.facts = &plane_authz_facts, .facts_ctx = &env};
    const struct authn_context authn_context = {.objects_ctx = &env,
                                                .now_s = bed->now_ns / NS_PER_SEC};
    env.policy = &policy;
    env.authn_context = &authn_context;
    Meta__Status *failure = rest_handle(&env, &asking->request, &bed->reply);
    if (failure)
        rest_reply_failure(&asking->request, failure, &bed->reply);
    const char *dry_run = http_target_param(&asking->target, "dryRun");
    return failure || dry_run ? error_new(ERROR_ABORTED, "taken back") : NULL;
}

static void done(void *ctx, const struct error *err)
{
    struct asking *asking = ctx;
    asking->is_done = true;
    if (err && err->code != ERROR_ABORTED)
        fail_msg("%s", err->message);
}

static void route(struct asking *asking, const char *method)
{
    struct route route;
    route_parse(method, &asking->target, &route);
    if (!route.resource)
        fail_msg("%s is no resource", asking->target.path);
    asking->request.verb = route.verb;
    asking->request.resource = route.resource;
    asking->request.subresource = route.subresource;
    asking->request.namespace_ = route.namespace_;
    asking->request.name = route.name;
}

unsigned rest_ask(struct rest_bed *bed, const char *method, const char *target, const char *body)
{
    drop_reply(bed);
    bed->reply_arena = arena_new(0);
    buf_init(&bed->reply.body, REPLY_MAX_BYTES);
    struct asking asking = {.bed = bed};
    assert_no_error(http_target_parse(str_from(target), bed->reply_arena, &asking.target));
    asking.request = (struct plane_request){
        .target = &asking.target,
        .content_type = bed->content_type,
        .accept = bed->accept,
        .body = str_from(body),
        .user = &bed->user,
        .user_agent = bed->user_agent,
    };
    route(&asking, method);
    const struct store_task task = {.run = run, .done = done};
    store_submit(bed->store, &task, &asking);
    for (int i = 0; i < TURNS_MAX && !asking.is_done; i++)
        loop_turn(bed->loop, NS_PER_MS);
    assert_true(asking.is_done);
    if (text_eq(bed->reply.content_type, "application/json")) {
        const struct doc_parse_options options = {.max_bytes = REPLY_MAX_BYTES};
        assert_no_error(
            json_parse(buf_str(&bed->reply.body), &options, bed->reply_arena, &bed->document));
    }
    return bed->reply.code;
}

unsigned rest_patch_with(struct rest_bed *bed, const char *type, const char *target,
                         const char *body)
{
    const char *content_type = bed->content_type;
    const char *ending = strcmp(type, "apply") == 0 ? "yaml" : "json";
    bed->content_type = arena_printf(bed->arena, "application/%s-patch+%s", type, ending);
    unsigned code = rest_ask(bed, "PATCH", target, body);
    bed->content_type = content_type;
    return code;
}

/* --- the answer --- */

static const struct doc_node *step(const struct doc_node *node, const char *name)
{
    int64_t index = 0;
    if (node && node->kind == DOC_ARRAY)
        return parse_i64(name, 0, (int64_t)node->array.count - 1, &index) ? node->array.items[index]
                                                                          : NULL;
    return doc_get(node, name);
}

const char *rest_field(const struct rest_bed *bed, const char *path)
{
    const struct doc_node *node = bed->document;
    struct str rest = str_from(path), part;
    while (node && rest.ptr && str_split_next(&rest, ' ', &part))
        node = step(node, arena_strndup(bed->reply_arena, part.ptr, part.len));
    if (!node || node->kind == DOC_NULL)
        return "";
    if (node->kind == DOC_STRING)
        return node->string.ptr;
    AUTO(buf) struct buf json;
    buf_init(&json, REPLY_MAX_BYTES);
    struct json_writer writer;
    json_writer_init(&writer, &json, false);
    doc_write_node(&writer.base, node);
    return arena_strdup(bed->reply_arena, buf_text(&json));
}

void rest_expect(struct rest_bed *bed, unsigned code, unsigned want_code, const char *message)
{
    const char *got = code >= 400 ? rest_field(bed, "message") : "";
    if (code != want_code)
        fail_msg("code %u instead of %u: %s", code, want_code, got);
    if (message)
        assert_string_equal(got, message);
}

void rest_must(struct rest_bed *bed, const char *method, const char *target, const char *body)
{
    unsigned code = rest_ask(bed, method, target, body);
    if (code >= 300)
        fail_msg("%s %s: %u %s", method, target, code, rest_field(bed, "message"));
}
