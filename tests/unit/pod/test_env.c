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
        {"volumeName: v, path: '', key: K", "", "couldn't parse env file"},
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

/* --- from the API --- */

/* ConfigMap "cm", Secret "s" with a zero byte and bytes that are no text; "gone" is neither, "away"
 * cannot be got. One service. */
static const char *env_with_api(const char *container, struct arena *arena)
{
    struct node_facts node = node_for_tests();
    struct container_config_input input =
        container_input(pod_with("", "", container, arena), &node);
    static const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *config_map, *secret, *service;
    assert_no_error(kube_decode_yaml(STR_LITERAL("{data: {b: '2', a: '1', a.b-c: $(X), empty: ''}, "
                                                 "binaryData: {bin: eA==}}"),
                                     &core__config_map__descriptor, &options, arena, &config_map));
    assert_no_error(kube_decode_yaml(STR_LITERAL("{data: {k: c2VjcmV0, z: YQBi, e: ''}}"),
                                     &core__secret__descriptor, &options, arena, &secret));
    assert_no_error(
        kube_decode_yaml(STR_LITERAL("{metadata: {namespace: default, name: db}, spec: {clusterIP: "
                                     "10.0.0.3, ports: [{port: 1}]}}"),
                         &core__service__descriptor, &options, arena, &service));
    AUTO(error) struct error *no_map = error_new(ERROR_NOT_FOUND, "configmap \"gone\" not found");
    AUTO(error) struct error *no_secret = error_new(ERROR_NOT_FOUND, "secret \"gone\" not found");
    AUTO(error)
    struct error *away = error_new(ERROR_DEADLINE_EXCEEDED, "failed to sync configmap cache: timed "
                                                            "out waiting for the condition");
    const struct env_object objects[] = {
        {.name = "cm", .object = config_map}, {.is_secret = true, .name = "s", .object = secret},
        {.name = "gone", .err = no_map},      {.is_secret = true, .name = "gone", .err = no_secret},
        {.name = "away", .err = away},
    };
    const Core__Service *services[] = {(const Core__Service *)service};
    const struct env_sources sources = {.services_ready = true,
                                        .services = services,
                                        .n_services = ARRAY_SIZE(services),
                                        .objects = objects,
                                        .n_objects = ARRAY_SIZE(objects)};
    input.env_sources = &sources;
    return env_of(&input, arena);
}

#define MAP_KEY(name, key, more)                                                                   \
    "{name: " name ", valueFrom: {configMapKeyRef: {name: cm, key: " key more "}}}"
#define DB_ENV                                                                                     \
    "DB_SERVICE_HOST=10.0.0.3;DB_SERVICE_PORT=1;DB_PORT=tcp://10.0.0.3:1;"                         \
    "DB_PORT_1_TCP=tcp://10.0.0.3:1;DB_PORT_1_TCP_PROTO=tcp;DB_PORT_1_TCP_PORT=1;"                 \
    "DB_PORT_1_TCP_ADDR=10.0.0.3"

TEST_CASE(variables_come_from_the_api)
{
    static const struct {
        const char *name, *container, *want; /* services follow unless it is a refusal */
    } rows[] = {
        {"nothing but services", "", ""},
        {"keys of both",
         "env: [" MAP_KEY("A", "a", "") ", {name: B, valueFrom: {secretKeyRef: "
                                        "{name: s, key: k}}}]",
         "A=1;B=secret;"},
        {"values are not expanded", "env: [{name: X, value: x}, " MAP_KEY("A", "a.b-c", "") "]",
         "X=x;A=$(X);"},
        {"empty values count",
         "env: [" MAP_KEY("A", "empty",
                          "") ", {name: B, valueFrom: {secretKeyRef: {name: s, key: e}}}]",
         "A=;B=;"},
        {"a missing key", "env: [" MAP_KEY("A", "nope", "") "]",
         "!couldn't find key nope in ConfigMap default/cm"},
        {"binaryData does not count", "env: [" MAP_KEY("A", "bin", ", optional: false") "]",
         "!couldn't find key bin in ConfigMap default/cm"},
        {"a missing key of a Secret",
         "env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: nope}}}]",
         "!couldn't find key nope in Secret default/s"},
        {"a missing key that may miss leaves the value before",
         "envFrom: [{configMapRef: {name: cm}, prefix: P_}], env: [" MAP_KEY(
             "P_a", "nope", ", optional: true") "]",
         "P_b=2;P_a=1;P_a.b-c=$(X);P_empty=;"},
        {"a missing object", "env: [{name: A, valueFrom: {configMapKeyRef: {name: gone, key: k}}}]",
         "!configmap \"gone\" not found"},
        {"a missing object that may miss",
         "env: [{name: A, valueFrom: {configMapKeyRef: {name: gone, key: k, optional: true}}}, "
         "{name: B, valueFrom: {secretKeyRef: {name: gone, key: k, optional: true}}}]",
         ""},
        {"what cannot be got is not what is missing",
         "env: [{name: A, valueFrom: {configMapKeyRef: {name: away, key: k, optional: true}}}]",
         "!failed to sync configmap cache: timed out waiting for the condition"},
        {"a name nobody can ask for",
         "env: [{name: A, valueFrom: {configMapKeyRef: {key: k, optional: true}}}]",
         "!object \"default\"/\"\" not registered"},
        {"whole objects that are missing", "envFrom: [{secretRef: {name: gone}}]",
         "!secret \"gone\" not found"},
        {"whole objects that cannot be got",
         "envFrom: [{configMapRef: {name: away, optional: true}}]",
         "!failed to sync configmap cache: timed out waiting for the condition"},
        {"the first refusal in the order of the spec",
         "envFrom: [{secretRef: {name: gone}}], env: [" MAP_KEY("A", "nope", "") "]",
         "!secret \"gone\" not found"},
        {"services can be referred to", "env: [{name: A, value: '$(DB_SERVICE_HOST):$(NOPE)'}]",
         "A=10.0.0.3:$(NOPE);"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        bool refused = rows[i].want[0] == '!';
        const char *got = env_with_api(rows[i].container, arena);
        const char *want =
            refused ? rows[i].want + 1 : arena_printf(arena, "%s" DB_ENV, rows[i].want);
        if (!text_eq(got, want))
            fail_msg("%s: got %s, want %s", rows[i].name, got, want);
    }
}

/* What env_of() prints of a value ends at its zero byte. */
TEST_CASE(whole_objects_become_variables)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_string_equal(
        env_with_api("envFrom: [{configMapRef: {name: cm}}, {secretRef: {name: s}}], env: [{name: "
                     "b, value: '3$(k)'}]",
                     arena),
        "b=3secret;a=1;a.b-c=$(X);empty=;k=secret;z=a;e=;" DB_ENV);
}

TEST_CASE(a_variable_takes_the_place_of_a_service)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *got =
        env_with_api("env: [{name: DB_PORT, value: mine}, {name: A, value: $(DB_PORT)}]", arena);
    assert_true(text_has_prefix(got, "DB_PORT=mine;A=mine;DB_SERVICE_HOST="));
    assert_null(strstr(got, "DB_PORT=tcp"));
}

TEST_CASE(any_bytes_of_a_secret_are_handed_on)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    struct container_config_input input = container_input(
        pod_with("", "", "env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: z}}}]", arena),
        &node);
    uint8_t bytes[] = {'a', 0, 0xff};
    Core__Secret__DataEntry entry = CORE__SECRET__DATA_ENTRY__INIT;
    Core__Secret__DataEntry *entries[] = {&entry};
    entry.key = arena_strdup(arena, "z");
    entry.has_value = true;
    entry.value = (ProtobufCBinaryData){.data = bytes, .len = sizeof(bytes)};
    Core__Secret secret = CORE__SECRET__INIT;
    secret.data = entries;
    secret.n_data = 1;
    const struct env_object object = {.is_secret = true, .name = "s", .object = &secret.base};
    const struct env_sources sources = {.services_ready = true, .objects = &object, .n_objects = 1};
    input.env_sources = &sources;
    AUTO(environment) struct environment *environment = NULL;
    assert_no_error(environment_build(&input, arena, &environment));
    size_t count;
    Cri__KeyValue **pairs = environment_to_cri(environment, arena, &count);
    assert_int_equal(count, 1);
    assert_int_equal(pairs[0]->value.len, sizeof(bytes));
    assert_memory_equal(pairs[0]->value.data, bytes, sizeof(bytes));
}

TEST_MAIN(TEST(variables_are_resolved_in_order), TEST(whole_objects_need_an_api_client),
          TEST(services_must_have_been_read_for_pods_of_the_api), TEST(files_give_values),
          TEST(files_to_read_are_listed_once), TEST(an_environment_that_doubles_itself_is_refused),
          TEST(variables_come_from_the_api), TEST(whole_objects_become_variables),
          TEST(a_variable_takes_the_place_of_a_service), TEST(any_bytes_of_a_secret_are_handed_on))
