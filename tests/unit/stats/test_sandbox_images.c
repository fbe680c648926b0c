#include "stats/sandbox_images.h"

#include "tests/lib/test.h"

#include <stdio.h>

#define MAX_CALLS 32

/* A runtime that only takes notes; a test answers for it. */
struct slow_runtime {
    struct pod_runtime runtime;
    size_t n_calls, n_cancelled;
    struct {
        char id[16];
        runtime_on_reply *on_reply;
        void *ctx;
    } calls[MAX_CALLS];
};

struct runtime_call {
    char unused;
};
static struct runtime_call *const some_call = (struct runtime_call *)16;

static struct runtime_call *on_call(struct pod_runtime *self, enum runtime_method method,
                                    const ProtobufCMessage *request, int64_t extra_ns,
                                    runtime_on_reply *on_reply, void *ctx)
{
    struct slow_runtime *runtime = CONTAINER_OF(self, struct slow_runtime, runtime);
    const Cri__PodSandboxStatusRequest *status =
        (const Cri__PodSandboxStatusRequest *)(const void *)request;
    assert_int_equal(method, RUNTIME_POD_SANDBOX_STATUS);
    assert_int_equal(extra_ns, 0);
    assert_true(status->verbose);
    assert_true(runtime->n_calls < MAX_CALLS);
    (void)snprintf(runtime->calls[runtime->n_calls].id, 16, "%s", status->pod_sandbox_id);
    runtime->calls[runtime->n_calls].on_reply = on_reply;
    runtime->calls[runtime->n_calls++].ctx = ctx;
    return some_call;
}

static void on_cancel(struct pod_runtime *self, UNUSED struct runtime_call *call)
{
    CONTAINER_OF(self, struct slow_runtime, runtime)->n_cancelled++;
}

static const struct pod_runtime_vtable vtable = {.call = on_call, .cancel = on_cancel};

/* Call @index is answered with @info; NULL: with an error. */
static void answer(struct slow_runtime *runtime, size_t index, char *info)
{
    char key[] = "info";
    Cri__PodSandboxStatusResponse reply = CRI__POD_SANDBOX_STATUS_RESPONSE__INIT;
    Cri__PodSandboxStatusResponse__InfoEntry entry =
        CRI__POD_SANDBOX_STATUS_RESPONSE__INFO_ENTRY__INIT;
    Cri__PodSandboxStatusResponse__InfoEntry *entries[] = {&entry};
    entry.key = key;
    entry.value = info;
    reply.info = entries;
    reply.n_info = 1;
    runtime->calls[index].on_reply(runtime->calls[index].ctx, info ? &reply.base : NULL,
                                   info ? NULL : error_new(ERROR_UNAVAILABLE, "no"));
}

static void on_settled(void *ctx)
{
    (*(size_t *)ctx)++;
}

TEST_CASE(an_image_is_asked_for_once_and_kept)
{
    struct slow_runtime runtime = {.runtime = {.vtable = &vtable}};
    size_t settled = 0;
    AUTO(sandbox_images)
    struct sandbox_images *images = sandbox_images_new(&runtime.runtime, on_settled, &settled);
    assert_true(sandbox_images_is_settled(images));
    sandbox_images_want(images, "a");
    sandbox_images_want(images, "a");
    sandbox_images_want(images, "b");
    assert_int_equal(runtime.n_calls, 2);
    assert_false(sandbox_images_is_settled(images));
    assert_string_equal(sandbox_images_get(images, "a"), "");
    char pause[] = "{\"image\": \"pause:3.10\"}", nothing[] = "{}";
    answer(&runtime, 0, pause);
    assert_int_equal(settled, 0);
    answer(&runtime, 1, nothing);
    assert_int_equal(settled, 1);
    assert_string_equal(sandbox_images_get(images, "a"), "pause:3.10");
    assert_string_equal(sandbox_images_get(images, "b"), "");
    sandbox_images_want(images, "a");
    sandbox_images_want(images, "b"); /* it answered, and named none */
    assert_int_equal(runtime.n_calls, 2);
    assert_string_equal(sandbox_images_get(images, "unknown"), "");
}

TEST_CASE(a_failed_question_is_asked_again_when_wanted)
{
    struct slow_runtime runtime = {.runtime = {.vtable = &vtable}};
    size_t settled = 0;
    AUTO(sandbox_images)
    struct sandbox_images *images = sandbox_images_new(&runtime.runtime, on_settled, &settled);
    sandbox_images_want(images, "a");
    answer(&runtime, 0, NULL);
    assert_int_equal(settled, 1);
    assert_int_equal(runtime.n_calls, 1);
    sandbox_images_want(images, "a");
    assert_int_equal(runtime.n_calls, 2);
}

TEST_CASE(only_some_are_asked_for_at_a_time)
{
    struct slow_runtime runtime = {.runtime = {.vtable = &vtable}};
    size_t settled = 0;
    AUTO(sandbox_images)
    struct sandbox_images *images = sandbox_images_new(&runtime.runtime, on_settled, &settled);
    char id[16], pause[] = "{\"image\": \"pause:3.10\"}";
    for (int i = 0; i < 20; i++) {
        (void)snprintf(id, sizeof(id), "s%d", i);
        sandbox_images_want(images, id);
    }
    assert_int_equal(runtime.n_calls, 8);
    for (size_t i = 0; i < 20; i++)
        answer(&runtime, i, pause);
    assert_int_equal(runtime.n_calls, 20);
    assert_int_equal(settled, 1);
    assert_string_equal(sandbox_images_get(images, "s19"), "pause:3.10");
}

TEST_CASE(what_is_no_longer_wanted_is_forgotten)
{
    struct slow_runtime runtime = {.runtime = {.vtable = &vtable}};
    size_t settled = 0;
    struct sandbox_images *images = sandbox_images_new(&runtime.runtime, on_settled, &settled);
    char pause[] = "{\"image\": \"pause:3.10\"}";
    sandbox_images_want(images, "a");
    sandbox_images_want(images, "b");
    answer(&runtime, 0, pause);
    sandbox_images_forget_unwanted(images);
    assert_string_equal(sandbox_images_get(images, "a"), "pause:3.10");
    sandbox_images_want(images, "b");
    sandbox_images_forget_unwanted(images);
    assert_string_equal(sandbox_images_get(images, "a"), "");
    assert_int_equal(runtime.n_cancelled, 0);
    sandbox_images_forget_unwanted(images); /* "b" is still being asked for */
    assert_int_equal(runtime.n_cancelled, 1);
    assert_true(sandbox_images_is_settled(images));
    sandbox_images_want(images, "c");
    sandbox_images_free(images);
    assert_int_equal(runtime.n_cancelled, 2);
}

TEST_CASE(without_a_runtime_nothing_is_known)
{
    AUTO(sandbox_images) struct sandbox_images *images = sandbox_images_new(NULL, NULL, NULL);
    sandbox_images_want(images, "a");
    assert_true(sandbox_images_is_settled(images));
    assert_string_equal(sandbox_images_get(images, "a"), "");
}

TEST_CASE(the_image_is_a_text_of_the_info)
{
    static const struct {
        const char *info, *image;
    } rows[] = {
        {"{\"pid\":1,\"image\":\"registry.k8s.io/pause:3.10\",\"x\":{}}",
         "registry.k8s.io/pause:3.10"},
        {"{\"image\":\"\"}", NULL},
        {"{\"image\":7}", NULL},
        {"[\"image\"]", NULL},
        {"{\"image\":\"a\"", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free) char *image = sandbox_images_parse(rows[i].info);
        if (!text_eq(image, rows[i].image))
            fail_msg("%s: %s", rows[i].info, image ? image : "none");
    }
}

TEST_MAIN(TEST(an_image_is_asked_for_once_and_kept),
          TEST(a_failed_question_is_asked_again_when_wanted),
          TEST(only_some_are_asked_for_at_a_time), TEST(what_is_no_longer_wanted_is_forgotten),
          TEST(without_a_runtime_nothing_is_known), TEST(the_image_is_a_text_of_the_info))
