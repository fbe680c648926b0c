#include "container_fixture.h"

#include "pod/env.h"

/* The environment as "A=1;B=2", or the error's message. */
static const char *env_of(const struct container_config_input *input, struct arena *arena)
{
    AUTO(environment) struct environment *environment = NULL;
    AUTO(error) struct error *err = environment_build(input, arena, &environment);
    if (err)
        return arena_strdup(arena, err->message);
    size_t count;
    Cri__KeyValue **pairs = environment_to_cri(environment, arena, &count);
    const char *all = "";
    for (size_t i = 0; i < count; i++)
        all = arena_printf(arena, "%s%s%s=%.*s", all, i ? ";" : "", pairs[i]->key,
                           (int)pairs[i]->value.len, (const char *)pairs[i]->value.data);
    return all;
}

TEST_CASE(variables_are_resolved_in_order)
{
    static const struct {
        const char *name, *env, *want;
    } rows[] = {
        {"literals", "{name: B, value: '1'}, {name: A, value: '2'}", "B=1;A=2"},
        {"an empty value", "{name: A}, {name: B, value: ''}", "A=;B="},
        {"earlier ones are seen, later ones not",
         "{name: A, value: a}, {name: B, value: '$(A)$(C)$$(A)'}, {name: C, value: c}",
         "A=a;B=a$(C)$(A);C=c"},
        {"a second setting takes the first one's place",
         "{name: A, value: a}, {name: B, value: b}, {name: A, value: '$(A)2'}", "A=a2;B=b"},
        {"the pod's fields",
         "{name: P, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, "
         "{name: M, value: my-$(P)}",
         "P=web;M=my-web"},
        {"resources",
         "{name: L, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}",
         "L=900"},
        {"a source without content", "{name: A, valueFrom: {}}", "A="},
        {"a ConfigMap key",
         "{name: A, valueFrom: {configMapKeyRef: {name: cm, key: k, optional: true}}}",
         "couldn't get configMap default/cm, no kubeClient defined"},
        {"a Secret key", "{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}",
         "couldn't get secret default/s, no kubeClient defined"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Core__Pod *pod = pod_with("", "", arena_printf(arena, "env: [%s]", rows[i].env), arena);
        struct container_config_input input = container_input(pod, &node);
        const char *got = env_of(&input, arena);
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: got %s, want %s", rows[i].name, got, rows[i].want);
    }
}

TEST_CASE(whole_objects_need_an_api_client)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    struct container_config_input input =
        container_input(pod_with("", "", "envFrom: [{configMapRef: {name: cm}}]", arena), &node);
    assert_string_equal(env_of(&input, arena),
                        "couldn't get configMap default/cm, no kubeClient defined");
    input = container_input(
        pod_with("", "", "envFrom: [{prefix: P, secretRef: {name: s, optional: true}}]", arena),
        &node);
    assert_string_equal(env_of(&input, arena),
                        "couldn't get secret default/s, no kubeClient defined");
}

TEST_CASE(services_must_have_been_read_for_pods_of_the_api)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    const struct env_sources unread = {.services_ready = false}, read = {.services_ready = true};
    struct container_config_input input = container_input(pod_with("", "", "", arena), &node);
    assert_string_equal(env_of(&input, arena), "");
    input.env_sources = &read;
    assert_string_equal(env_of(&input, arena), "");
    input.env_sources = &unread;
    assert_string_equal(env_of(&input, arena),
                        "services have not yet been read at least once, cannot construct envvars");
    input = container_input(
        pod_with("annotations: {kubernetes.io/config.source: file}", "", "", arena), &node);
    input.env_sources = &unread;
    assert_string_equal(env_of(&input, arena), "");
    ((Core__PodSpec *)input.pod->spec)->has_enable_service_links = 0;
    assert_string_equal(env_of(&input, arena),
                        "nil pod.spec.enableServiceLinks encountered, cannot construct envvars");
}

static const char *from_file(const char *reference, struct str content, bool readable,
                             struct arena *arena)
{
    struct node_facts node = node_for_tests();
    static const struct mounted_volume volume = {
        .name = "v", .inner_name = "v", .host_path = "/pods/v"};
    const struct env_file file = {
        .volume_name = "v", .path = "f.env", .readable = readable, .content = content};
    Core__Pod *pod = pod_with(
        "", "",
        arena_printf(arena, "env: [{name: A, value: x}, {name: A, valueFrom: {fileKeyRef: {%s}}}]",
                     reference),
        arena);
    struct container_config_input input = container_input(pod, &node);
    input.volumes = &volume;
    input.n_volumes = 1;
    input.env_files = &file;
    input.n_env_files = 1;
    return env_of(&input, arena);
}

TEST_CASE(files_give_values)
{
#define FILE_REF "volumeName: v, path: f.env, key: "
    static const struct {
        const char *reference, *content, *want;
    } rows[] = {
        {FILE_REF "K", "K='value'\n", "A=value"},
        {FILE_REF "K, optional: true", "K=\n", "A=x"},
        {FILE_REF "Z, optional: true", "K='value'\n", "A=x"},
        {FILE_REF "Z", "K='value'\n", "environment variable key \"Z\" not found in file \"f.env\""},
        {FILE_REF "K", "K=''\n", "environment variable key \"K\" not found in file \"f.env\""},
        {FILE_REF "K, optional: true", "broken\n", "couldn't parse env file"},
        {"volumeName: w, path: f.env, key: K", "",
         "cannot find the volume \"w\" referenced by FileKeyRef"},
        {"volumeName: v, path: other, key: K", "",
         "the environment file \"other\" of volume \"v\" was not read"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(from_file(rows[i].reference, str_from(rows[i].content), true, arena),
                            rows[i].want);
    assert_string_equal(from_file(FILE_REF "K, optional: true", (struct str){0}, false, arena),
                        "couldn't parse env file");
}

TEST_CASE(files_to_read_are_listed_once)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    static const struct mounted_volume volume = {
        .name = "v", .inner_name = "v", .host_path = "/pods/v"};
    Core__Pod *pod = pod_with(
        "", "",
        "env: [{name: A, value: x}, {name: B, valueFrom: {fileKeyRef: {" FILE_REF "K}}}, "
        "{name: C, valueFrom: {fileKeyRef: {" FILE_REF "L}}}, {name: D, valueFrom: {fileKeyRef: "
        "{volumeName: w, path: f, key: K}}}, {name: E, valueFrom: {fileKeyRef: {volumeName: v, "
        "path: g, key: K}}}]",
        arena);
    struct container_config_input input = container_input(pod, &node);
    input.volumes = &volume;
    input.n_volumes = 1;
    struct env_file_request *requests;
    size_t count;
    container_env_files(&input, arena, &requests, &count);
    assert_int_equal(count, 2);
    assert_string_equal(requests[0].path, "f.env");
    assert_string_equal(requests[0].volume_path, "/pods/v");
    assert_string_equal(requests[1].path, "g");
}

TEST_CASE(an_environment_that_doubles_itself_is_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    const char *env = "{name: V0, value: xxxxxxxxxxxxxxxx}";
    for (int i = 1; i < 40; i++)
        env = arena_printf(arena, "%s, {name: V%d, value: $(V%d)$(V%d)}", env, i, i - 1, i - 1);
    Core__Pod *pod = pod_with("", "", arena_printf(arena, "env: [%s]", env), arena);
    struct container_config_input input = container_input(pod, &node);
    struct environment *environment = NULL;
    assert_error_code(environment_build(&input, arena, &environment), ERROR_RESOURCE_EXHAUSTED);

    env = "{name: V0, value: $(BIG)}";
    for (int i = 1; i < 20; i++)
        env = arena_printf(arena, "%s, {name: V%d, value: $(BIG)}", env, i);
    char *big = arena_alloc(arena, 600 * KiB);
    memset(big, 'b', 600 * KiB - 1);
    pod =
        pod_with("", "", arena_printf(arena, "env: [{name: BIG, value: %s}, %s]", big, env), arena);
    input = container_input(pod, &node);
    assert_error_message(environment_build(&input, arena, &environment),
                         "the environment is larger than 8388608 bytes");
}

TEST_MAIN(TEST(variables_are_resolved_in_order), TEST(whole_objects_need_an_api_client),
          TEST(services_must_have_been_read_for_pods_of_the_api), TEST(files_give_values),
          TEST(files_to_read_are_listed_once), TEST(an_environment_that_doubles_itself_is_refused))
