#include "plane/admission.h"

#include "object_yaml.h"

static const char *const user_groups[] = {"system:authenticated"};
static const struct plane_user jane = {"jane", "", {user_groups, 1}, NULL, 0};

/* Service accounts of namespace default. */
static const ProtobufCMessage *get(void *ctx, enum admission_object kind, const char *namespace_,
                                   const char *name)
{
    static const struct {
        const char *name;
        const char *yaml;
    } rows[] = {
        {"default", "{metadata: {name: default}}"},
        {"quiet", "{metadata: {name: quiet}, automountServiceAccountToken: false}"},
        {"puller", "{metadata: {name: puller}, imagePullSecrets: [{name: one}, {name: two}]}"},
    };
    if (kind == ADMISSION_NAMESPACE)
        return object_parse("{status: {phase: Active}}", &core__namespace__descriptor, ctx);
    assert_int_equal(kind, ADMISSION_SERVICE_ACCOUNT);
    assert_string_equal(namespace_, "default");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (text_eq(name, rows[i].name))
            return object_parse(rows[i].yaml, &core__service_account__descriptor, ctx);
    }
    return NULL;
}
static const struct admission_facts facts = {.get = get};

static Core__Pod *parse_pod(const char *yaml, struct arena *arena)
{
    return (Core__Pod *)object_parse(yaml, &core__pod__descriptor, arena);
}

static struct admission_request request_for(const Core__Pod *pod, struct arena *arena)
{
    return (struct admission_request){.user = &jane,
                                      .operation = ADMISSION_CREATE,
                                      .resource = "pods",
                                      .namespace_ = "default",
                                      .object = &pod->base,
                                      .facts = &facts,
                                      .facts_ctx = arena,
                                      .random = UINT64_C(0x123456789abcdef),
                                      .arena = arena};
}

#define TOKEN_VOLUME                                                                               \
    "{\"name\":\"kube-api-access-@\",\"projected\":{\"sources\":[{\"serviceAccountToken\":{"       \
    "\"expirationSeconds\":3607,\"path\":\"token\"}},{\"configMap\":{\"name\":"                    \
    "\"kube-root-ca.crt\",\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}},{"                \
    "\"downwardAPI\":{\"items\":[{\"path\":\"namespace\",\"fieldRef\":{\"apiVersion\":\"v1\","     \
    "\"fieldPath\":\"metadata.namespace\"}}]}}],\"defaultMode\":420}}"
#define TOKEN_MOUNT                                                                                \
    "{\"name\":\"kube-api-access-@\",\"readOnly\":true,\"mountPath\":"                             \
    "\"/var/run/secrets/kubernetes.io/serviceaccount\"}"

/* @text with the five characters behind kube-api-access- as '@'. */
static const char *without_suffix(const char *text, struct arena *arena)
{
    char *copy = arena_strdup(arena, text);
    for (char *at = copy; (at = strstr(at, "kube-api-access-"));) {
        at += strlen("kube-api-access-");
        assert_true(strspn(at, "bcdfghjklmnpqrstvwxz2456789") == 5);
        *at = '@';
        memmove(at + 1, at + 5, strlen(at + 5) + 1);
    }
    return copy;
}

TEST_CASE(a_pod_gets_its_service_account_and_token)
{
    static const struct {
        const char *name;
        const char *spec;
        const char *want; /* the spec afterwards */
    } rows[] = {
        {"a plain pod", "{containers: [{name: c}, {name: d}], initContainers: [{name: i}]}",
         "{\"volumes\":[" TOKEN_VOLUME
         "],\"initContainers\":[{\"name\":\"i\",\"volumeMounts\":[" TOKEN_MOUNT
         "]}],\"containers\":[{\"name\":\"c\",\"volumeMounts\":[" TOKEN_MOUNT
         "]},{\"name\":\"d\",\"volumeMounts\":[" TOKEN_MOUNT
         "]}],\"serviceAccountName\":\"default\",\"serviceAccount\":\"default\"}"},
        {"who wants no token", "{automountServiceAccountToken: false, containers: [{name: c}]}",
         "{\"containers\":[{\"name\":\"c\"}],\"serviceAccountName\":\"default\","
         "\"serviceAccount\":\"default\",\"automountServiceAccountToken\":false}"},
        {"whose account wants none", "{serviceAccountName: quiet, containers: [{name: c}]}",
         "{\"containers\":[{\"name\":\"c\"}],\"serviceAccountName\":\"quiet\","
         "\"serviceAccount\":\"quiet\"}"},
        {"the pod's wish wins",
         "{serviceAccount: quiet, automountServiceAccountToken: true, containers: [{name: c}]}",
         "{\"volumes\":[" TOKEN_VOLUME
         "],\"containers\":[{\"name\":\"c\",\"volumeMounts\":[" TOKEN_MOUNT
         "]}],\"serviceAccountName\":\"quiet\",\"serviceAccount\":\"quiet\","
         "\"automountServiceAccountToken\":true}"},
        {"its own mount at the path",
         "{containers: [{name: c, volumeMounts: [{name: v, mountPath: "
         "/var/run/secrets/kubernetes.io/serviceaccount}]}], volumes: [{name: v, emptyDir: {}}]}",
         "{\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],\"containers\":[{\"name\":\"c\","
         "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":"
         "\"/var/run/secrets/kubernetes.io/serviceaccount\"}]}],\"serviceAccountName\":\"default\","
         "\"serviceAccount\":\"default\"}"},
        {"its own volume of that name",
         "{containers: [{name: c}], volumes: [{name: kube-api-access-bcdfg, emptyDir: {}}]}",
         "{\"volumes\":[{\"name\":\"kube-api-access-@\",\"emptyDir\":{}}],\"containers\":[{"
         "\"name\":\"c\",\"volumeMounts\":[" TOKEN_MOUNT "]}],\"serviceAccountName\":\"default\","
         "\"serviceAccount\":\"default\"}"},
        {"the account's pull secrets",
         "{serviceAccountName: puller, automountServiceAccountToken: false}",
         "{\"serviceAccountName\":\"puller\",\"serviceAccount\":\"puller\","
         "\"automountServiceAccountToken\":false,\"imagePullSecrets\":[{\"name\":\"one\"},{"
         "\"name\":\"two\"}]}"},
        {"its own pull secrets",
         "{serviceAccountName: puller, automountServiceAccountToken: false, imagePullSecrets: "
         "[{name: mine}]}",
         "{\"serviceAccountName\":\"puller\",\"serviceAccount\":\"puller\","
         "\"automountServiceAccountToken\":false,\"imagePullSecrets\":[{\"name\":\"mine\"}]}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__Pod *pod = parse_pod(
            arena_printf(arena, "metadata: {name: web}\nspec: %s\n", rows[i].spec), arena);
        const struct admission_request request = request_for(pod, arena);
        const Meta__Status *failure = admission_service_account(&request, pod);
        if (failure)
            fail_msg("%s: %s", rows[i].name, failure->message);
        const char *got = without_suffix(object_json(&pod->spec->base, arena), arena);
        const Core__PodSpec *want =
            (const Core__PodSpec *)object_parse(rows[i].want, &core__pod_spec__descriptor, arena);
        if (strcmp(got, object_json(&want->base, arena)) != 0)
            fail_msg("%s: %s", rows[i].name, got);
    }
}

TEST_CASE(the_volume_s_name_comes_of_the_random_number)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *one = parse_pod("spec: {containers: [{name: c}]}", arena);
    Core__Pod *two = parse_pod("spec: {containers: [{name: c}]}", arena);
    struct admission_request request = request_for(one, arena);
    request.random = 0;
    assert_null(admission_service_account(&request, one));
    assert_string_equal(one->spec->volumes[0]->name, "kube-api-access-bbbbb");
    request.random = 1;
    assert_null(admission_service_account(&request, two));
    assert_string_equal(two->spec->volumes[0]->name, "kube-api-access-cbbbb");
}

TEST_CASE(what_may_not_be_is_refused_in_upstream_s_words)
{
    static const char mirror[] =
        "metadata: {name: web, annotations: {kubernetes.io/config.mirror: x}}\nspec: ";
    static const struct {
        const char *name;
        bool is_mirror;
        const char *spec;
        const char *want; /* NULL: passes */
    } rows[] = {
        {"no such account", false, "{serviceAccountName: foo}",
         "pods \"web\" is forbidden: error looking up service account default/foo: serviceaccount "
         "\"foo\" not found"},
        {"a mirror pod", true, "{containers: [{name: c}]}", NULL},
        {"with an account", true, "{serviceAccountName: default}",
         "pods \"web\" is forbidden: a mirror pod may not reference service accounts"},
        {"with a secret", true, "{volumes: [{name: v, secret: {secretName: s}}]}",
         "pods \"web\" is forbidden: a mirror pod may not reference secrets"},
        {"with a token", true,
         "{volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}]}",
         "pods \"web\" is forbidden: a mirror pod may not use ServiceAccountToken volume "
         "projections"},
        {"an unknown class", false, "{priorityClassName: high}",
         "pods \"web\" is forbidden: no PriorityClass with name high was found"},
        {"a priority of its own", false, "{priority: 7}",
         "pods \"web\" is forbidden: the integer value of priority (7) must not be provided in pod "
         "spec; priority admission controller computed 0 from the given PriorityClass name"},
        {"the right priority", false,
         "{priority: 2000001000, priorityClassName: "
         "system-node-critical}",
         NULL},
        {"another preemption", false, "{preemptionPolicy: Never}",
         "pods \"web\" is forbidden: the string value of PreemptionPolicy (Never) must not be "
         "provided in pod spec; priority admission controller computed PreemptLowerPriority from "
         "the given PriorityClass name"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *head = rows[i].is_mirror ? mirror : "metadata: {name: web}\nspec: ";
        Core__Pod *pod = parse_pod(arena_printf(arena, "%s%s", head, rows[i].spec), arena);
        const struct admission_request request = request_for(pod, arena);
        const Meta__Status *failure = admission_run(&request, pod);
        if (!text_eq(failure ? failure->message : NULL, rows[i].want))
            fail_msg("%s: %s", rows[i].name, failure ? failure->message : "passed");
    }
}

TEST_CASE(a_mirror_pod_s_spec_is_left_alone_by_service_accounts)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = parse_pod("metadata: {name: web, annotations: {kubernetes.io/config.mirror: "
                               "x}}\nspec: {containers: [{name: c}]}",
                               arena);
    const struct admission_request request = request_for(pod, arena);
    assert_null(admission_service_account(&request, pod));
    assert_string_equal(object_json(&pod->spec->base, arena),
                        "{\"containers\":[{\"name\":\"c\"}]}");
}

TEST_CASE(classes_of_the_system_have_their_values)
{
    static const struct {
        const char *spec;
        int32_t want;
    } rows[] = {
        {"{}", 0},
        {"{priorityClassName: system-cluster-critical}", 2000000000},
        {"{priorityClassName: system-node-critical}", 2000001000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__Pod *pod = parse_pod(arena_printf(arena, "spec: %s", rows[i].spec), arena);
        const struct admission_request request = request_for(pod, arena);
        assert_null(admission_priority(&request, pod));
        assert_true(pod->spec->has_priority);
        assert_int_equal(pod->spec->priority, rows[i].want);
        assert_string_equal(pod->spec->preemption_policy, "PreemptLowerPriority");
    }
}

TEST_CASE(pods_tolerate_a_lost_node_for_five_minutes)
{
#define NOT_READY                                                                                  \
    "{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":"                \
    "\"NoExecute\",\"tolerationSeconds\":300}"
#define UNREACHABLE                                                                                \
    "{\"key\":\"node.kubernetes.io/unreachable\",\"operator\":\"Exists\",\"effect\":"              \
    "\"NoExecute\",\"tolerationSeconds\":300}"
    static const struct {
        const char *spec;
        const char *want;
    } rows[] = {
        {"{}", "{\"tolerations\":[" NOT_READY "," UNREACHABLE "]}"},
        {"{tolerations: [{operator: Exists}]}", "{\"tolerations\":[{\"operator\":\"Exists\"}]}"},
        {"{tolerations: [{operator: Exists, effect: NoSchedule}]}",
         "{\"tolerations\":[{\"operator\":\"Exists\",\"effect\":\"NoSchedule\"}," NOT_READY
         "," UNREACHABLE "]}"},
        {"{tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, "
         "tolerationSeconds: 5}]}",
         "{\"tolerations\":[{\"key\":\"node.kubernetes.io/unreachable\",\"operator\":\"Exists\","
         "\"tolerationSeconds\":5}," NOT_READY "]}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__Pod *pod = parse_pod(arena_printf(arena, "spec: %s", rows[i].spec), arena);
        if (!pod->spec)
            pod->spec = (Core__PodSpec *)kube_message_new(&core__pod_spec__descriptor, arena);
        admission_default_tolerations(pod, arena);
        assert_string_equal(object_json(&pod->spec->base, arena), rows[i].want);
        admission_default_tolerations(pod, arena);
        assert_string_equal(object_json(&pod->spec->base, arena), rows[i].want);
    }
}

TEST_CASE(an_update_changes_neither_account_nor_priority)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = parse_pod("metadata: {name: web}\nspec: {containers: [{name: c}]}", arena);
    struct admission_request request = request_for(pod, arena);
    request.operation = ADMISSION_UPDATE;
    request.old = request.object;
    assert_null(admission_run(&request, pod));
    assert_null(pod->spec->service_account_name);
    assert_false(pod->spec->has_priority);
    assert_int_equal(pod->spec->n_tolerations, 2);
}

TEST_MAIN(TEST(a_pod_gets_its_service_account_and_token),
          TEST(the_volume_s_name_comes_of_the_random_number),
          TEST(what_may_not_be_is_refused_in_upstream_s_words),
          TEST(a_mirror_pod_s_spec_is_left_alone_by_service_accounts),
          TEST(classes_of_the_system_have_their_values),
          TEST(pods_tolerate_a_lost_node_for_five_minutes),
          TEST(an_update_changes_neither_account_nor_priority))
