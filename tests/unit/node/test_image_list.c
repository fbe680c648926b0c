#include "node/image_list.h"

#include "tests/lib/test.h"
#include "tests/unit/kube/fake_loop.h"

struct runtime_call {
    int unused;
};

struct bench {
    struct pod_runtime runtime;
    struct loop *loop;
    struct image_list *list;
    unsigned asked, changes;
    bool is_asked; /* a call waits for its answer */
    runtime_on_reply *on_reply;
    void *ctx;
    struct runtime_call call;
};

static struct runtime_call *fake_call(struct pod_runtime *self, enum runtime_method method,
                                      const ProtobufCMessage *request, UNUSED int64_t extra_ns,
                                      runtime_on_reply *on_reply, void *ctx)
{
    struct bench *bench = CONTAINER_OF(self, struct bench, runtime);
    assert_int_equal(method, IMAGE_LIST_IMAGES);
    assert_ptr_equal(request->descriptor, &cri__list_images_request__descriptor);
    assert_false(bench->is_asked);
    bench->is_asked = true;
    bench->asked++;
    bench->on_reply = on_reply;
    bench->ctx = ctx;
    return &bench->call;
}

static void fake_cancel(struct pod_runtime *self, struct runtime_call *call)
{
    if (call)
        CONTAINER_OF(self, struct bench, runtime)->is_asked = false;
}

static const struct pod_runtime_vtable fake_vtable = {.call = fake_call, .cancel = fake_cancel};

static void on_changed(void *ctx)
{
    ((struct bench *)ctx)->changes++;
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.runtime = {.vtable = &fake_vtable}};
    assert_no_error(loop_new(&bench->loop));
    bench->list = image_list_new(bench->loop, &bench->runtime, on_changed, bench);
}

static void auto_release_bench(struct bench *bench)
{
    image_list_free(bench->list);
    assert_false(bench->is_asked);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    loop_free(bench->loop);
}

/* What the runtime has: "id size" and the texts behind, digests with "@" and tags. */
struct image_row {
    const char *id;
    uint64_t size;
    const char *tags[3], *digests[3];
};

static void reply(struct bench *bench, const struct image_row *rows, size_t count)
{
    Cri__Image images[4], *list[4];
    Cri__ListImagesResponse response = CRI__LIST_IMAGES_RESPONSE__INIT;
    assert_true(bench->is_asked && count <= ARRAY_SIZE(images));
    for (size_t i = 0; i < count; i++) {
        cri__image__init(&images[i]);
        images[i].id = (char *)(uintptr_t)rows[i].id;
        images[i].size = rows[i].size;
        images[i].repo_tags = (char **)(uintptr_t)rows[i].tags;
        images[i].repo_digests = (char **)(uintptr_t)rows[i].digests;
        while (images[i].n_repo_tags < 3 && rows[i].tags[images[i].n_repo_tags])
            images[i].n_repo_tags++;
        while (images[i].n_repo_digests < 3 && rows[i].digests[images[i].n_repo_digests])
            images[i].n_repo_digests++;
        list[i] = &images[i];
    }
    response.images = list;
    response.n_images = count;
    bench->is_asked = false;
    bench->on_reply(bench->ctx, &response.base, NULL);
}

static const struct image_row pause_and_web[] = {
    {"sha256:2", 768691, {"registry.k8s.io/pause:3.10"}, {"registry.k8s.io/pause@sha256:aa"}},
    {"sha256:1", UINT64_MAX, {"web:1", "web:latest"}, {NULL}},
};

static void read_now(struct bench *bench, const struct image_row *rows, size_t count)
{
    image_list_refresh(bench->list);
    fake_loop_advance(bench->loop, 2 * NS_PER_SEC);
    reply(bench, rows, count);
}

TEST_CASE(images_are_told_with_digests_before_tags)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    size_t count = 9;
    (void)image_list_get(bench.list, &count);
    assert_int_equal(count, 0);
    read_now(&bench, pause_and_web, 2);
    const struct node_image *images = image_list_get(bench.list, &count);
    assert_int_equal(count, 2);
    assert_string_equal(images[0].id, "sha256:1");
    assert_int_equal(images[0].size_bytes, INT64_MAX);
    assert_int_equal(images[0].n_names, 2);
    assert_string_equal(images[1].id, "sha256:2");
    assert_int_equal(images[1].size_bytes, 768691);
    assert_string_equal(images[1].names[0], "registry.k8s.io/pause@sha256:aa");
    assert_string_equal(images[1].names[1], "registry.k8s.io/pause:3.10");
    assert_int_equal(bench.changes, 1);
}

TEST_CASE(only_other_images_are_a_change)
{
    static const struct {
        const char *name;
        struct image_row images[2];
        size_t count;
        unsigned changes;
    } rows[] = {
        {"the same in another order",
         {{"sha256:1", UINT64_MAX, {"web:1", "web:latest"}, {NULL}},
          {"sha256:2",
           768691,
           {"registry.k8s.io/pause:3.10"},
           {"registry.k8s.io/pause@sha256:aa"}}},
         2,
         0},
        {"one less", {{"sha256:1", UINT64_MAX, {"web:1", "web:latest"}, {NULL}}}, 1, 1},
        {"none", {{0}}, 0, 1},
        {"a tag less",
         {{"sha256:1", UINT64_MAX, {"web:1"}, {NULL}},
          {"sha256:2",
           768691,
           {"registry.k8s.io/pause:3.10"},
           {"registry.k8s.io/pause@sha256:aa"}}},
         2,
         1},
        {"another size",
         {{"sha256:1", UINT64_MAX, {"web:1", "web:latest"}, {NULL}},
          {"sha256:2", 1, {"registry.k8s.io/pause:3.10"}, {"registry.k8s.io/pause@sha256:aa"}}},
         2,
         1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        read_now(&bench, pause_and_web, 2);
        read_now(&bench, rows[i].images, rows[i].count);
        if (bench.changes != 1 + rows[i].changes)
            fail_msg("%s: %u changes", rows[i].name, bench.changes);
        size_t count = 0;
        (void)image_list_get(bench.list, &count);
        assert_int_equal(count, rows[i].count);
    }
}

/* Else the images of a former life would stay in the status. */
TEST_CASE(a_first_reading_without_images_is_known_from_none_at_all)
{
    AUTO(bench) struct bench bench;
    size_t count;
    bench_init(&bench);
    assert_null(image_list_get(bench.list, &count));
    read_now(&bench, NULL, 0);
    assert_int_equal(bench.changes, 1);
    assert_non_null(image_list_get(bench.list, &count));
    assert_int_equal(count, 0);
    read_now(&bench, NULL, 0);
    assert_int_equal(bench.changes, 1);
}

TEST_CASE(the_first_wish_is_served_at_once_and_those_of_a_second_together)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    for (int i = 0; i < 3; i++)
        image_list_refresh(bench.list);
    fake_loop_advance(bench.loop, 0);
    assert_int_equal(bench.asked, 1);
    for (int i = 0; i < 3; i++)
        image_list_refresh(bench.list); /* too late for the reading under way */
    fake_loop_advance(bench.loop, 5 * NS_PER_SEC);
    assert_int_equal(bench.asked, 1);
    reply(&bench, pause_and_web, 2);
    image_list_refresh(bench.list);
    fake_loop_advance(bench.loop, 999 * NS_PER_MS);
    assert_int_equal(bench.asked, 1);
    fake_loop_advance(bench.loop, NS_PER_MS);
    assert_int_equal(bench.asked, 2);
    reply(&bench, pause_and_web, 2);
    fake_loop_advance(bench.loop, 600 * NS_PER_SEC);
    assert_int_equal(bench.asked, 2);
    image_list_refresh(bench.list);
    fake_loop_advance(bench.loop, 0);
    assert_int_equal(bench.asked, 3);
}

TEST_CASE(a_reading_that_fails_is_tried_again_and_keeps_what_was_known)
{
    static const int64_t pauses_s[] = {1, 2, 4, 8, 16, 30, 30};
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    read_now(&bench, pause_and_web, 2);
    image_list_refresh(bench.list);
    fake_loop_advance(bench.loop, NS_PER_SEC);
    for (size_t i = 0; i < ARRAY_SIZE(pauses_s); i++) {
        bench.is_asked = false;
        bench.on_reply(bench.ctx, NULL, error_new(ERROR_UNAVAILABLE, "connection refused"));
        size_t count = 0;
        (void)image_list_get(bench.list, &count);
        assert_int_equal(count, 2);
        assert_int_equal(fake_loop_next(bench.loop), pauses_s[i] * NS_PER_SEC);
        fake_loop_advance(bench.loop, pauses_s[i] * NS_PER_SEC);
    }
    reply(&bench, pause_and_web, 1);
    assert_int_equal(bench.changes, 2);
    assert_int_equal(fake_loop_next(bench.loop), -1);
}

TEST_CASE(a_list_freed_while_it_reads_is_silent)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    image_list_refresh(bench.list);
    fake_loop_advance(bench.loop, 0);
    assert_true(bench.is_asked);
}

TEST_MAIN(TEST(images_are_told_with_digests_before_tags), TEST(only_other_images_are_a_change),
          TEST(a_first_reading_without_images_is_known_from_none_at_all),
          TEST(the_first_wish_is_served_at_once_and_those_of_a_second_together),
          TEST(a_reading_that_fails_is_tried_again_and_keeps_what_was_known),
          TEST(a_list_freed_while_it_reads_is_silent))
