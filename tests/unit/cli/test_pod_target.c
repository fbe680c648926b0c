#include "cli/pod_target.h"
#include "kube/codec.h"
#include "tests/lib/test.h"

static const char json[] =
    "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":["
    "{\"metadata\":{\"name\":\"web-n1\",\"namespace\":\"default\"},\"spec\":{\"nodeName\":\"n1\","
    "\"containers\":[{\"name\":\"a\"},{\"name\":\"b\",\"stdin\":true,\"tty\":true}],"
    "\"initContainers\":[{\"name\":\"i\"}],\"ephemeralContainers\":[{\"name\":\"e\",\"stdin\":true}"
    "]},\"status\":{\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"running\":{}}},{\"name\":"
    "\"b\",\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}}}],\"initContainerStatuses\":[{"
    "\"name\":\"i\",\"state\":{\"terminated\":{\"exitCode\":0,\"reason\":\"Completed\"}}}]}},"
    "{\"metadata\":{\"name\":\"web\",\"namespace\":\"other\"},\"spec\":{\"nodeName\":\"n1\","
    "\"containers\":[{\"name\":\"only\"}]}},"
    "{\"metadata\":{\"name\":\"db\",\"namespace\":\"default\",\"annotations\":{\"kubectl."
    "kubernetes."
    "io/default-container\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}},"
    "{\"metadata\":{\"name\":\"odd\",\"namespace\":\"default\",\"annotations\":{\"kubectl."
    "kubernetes.io/default-container\":\"x\"}},\"spec\":{\"containers\":[{\"name\":\"a\"}]}},"
    "{\"metadata\":{\"name\":\"bare\",\"namespace\":\"default\"}}]}";

static const Core__PodList *list(struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    ProtobufCMessage *message = NULL;
    assert_no_error(
        kube_decode_json(str_from(json), &core__pod_list__descriptor, &options, arena, &message));
    return (const Core__PodList *)message;
}

TEST_CASE(a_pod_is_found_also_without_its_node)
{
    static const struct {
        const char *namespace, *name;
        const char *want; /* namespace and name, or the error */
    } rows[] = {
        {"default", "web", "default/web-n1"},
        {"default", "web-n1", "default/web-n1"},
        {"default", "pod/web", "default/web-n1"},
        {"other", "web", "other/web"},
        {NULL, "web", "other/web"},
        {NULL, "db", "default/db"},
        {"default", "bare", "default/bare"},
        {"default", "x", "! there is no pod \"x\" in namespace \"default\" on this node"},
        {"default", "pod/x", "! there is no pod \"x\" in namespace \"default\" on this node"},
        {NULL, "x", "! there is no pod \"x\" on this node"},
        {"other", "db",
         "! there is no pod \"db\" in namespace \"other\" on this node, but one in namespace "
         "\"default\": use --namespace"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__PodList *pods = list(arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pod_target found = {0};
        AUTO(error)
        struct error *err = pod_target_find(pods, rows[i].namespace, rows[i].name, &found);
        const char *have = err ? arena_printf(arena, "! %s", err->message)
                               : arena_printf(arena, "%s/%s", found.namespace, found.name);
        assert_string_equal(have, rows[i].want);
    }
}

TEST_CASE(a_container_is_chosen_as_kubectl_does)
{
    static const struct {
        const char *pod, *name;
        const char *want; /* the container with what it has, or the error */
    } rows[] = {
        {"web-n1", NULL, "a input=0 tty=0 default=1"},
        {"web-n1", "b", "b input=1 tty=1 default=0"},
        {"web-n1", "i", "i input=0 tty=0 default=0"},
        {"web-n1", "e", "e input=1 tty=0 default=0"},
        {"db", NULL, "b input=0 tty=0 default=0"},
        {"db", "a", "a input=0 tty=0 default=0"},
        {"odd", NULL, "a input=0 tty=0 default=0"},
        {"web-n1", "x", "! pod \"web-n1\" has no container \"x\" but: a, b, e (ephem), i (init)"},
        {"bare", NULL, "! pod \"bare\" has no containers"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__PodList *pods = list(arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pod_target target = {0};
        assert_no_error(pod_target_find(pods, "default", rows[i].pod, &target));
        AUTO(error) struct error *err = pod_target_choose(&target, rows[i].name);
        const char *have =
            err ? arena_printf(arena, "! %s", err->message)
                : arena_printf(arena, "%s input=%d tty=%d default=%d", target.container,
                               target.has_input, target.has_tty, target.is_default);
        assert_string_equal(have, rows[i].want);
    }
}

TEST_CASE(what_does_not_run_is_told)
{
    static const struct {
        const char *container, *want;
    } rows[] = {
        {"a", NULL},
        {"b", "container \"b\" of pod \"web-n1\" is not running: CrashLoopBackOff"},
        {"i", "container \"i\" of pod \"web-n1\" is not running: Completed"},
        {"e", "container \"e\" of pod \"web-n1\" is not running: it has not been started"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__PodList *pods = list(arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pod_target target = {0};
        assert_no_error(pod_target_find(pods, "default", "web", &target));
        assert_no_error(pod_target_choose(&target, rows[i].container));
        AUTO(error) struct error *err = pod_target_check_running(&target);
        assert_true(text_eq(err ? err->message : NULL, rows[i].want));
    }
}

TEST_MAIN(TEST(a_pod_is_found_also_without_its_node), TEST(a_container_is_chosen_as_kubectl_does),
          TEST(what_does_not_run_is_told))
