#include "pod/runtime_handler.h"
#include "tests/lib/test.h"

static char default_name[] = "", kata_name[] = "kata", bare_name[] = "bare";

TEST_CASE(a_handler_has_the_features_that_are_told_of_it)
{
    static const struct {
        const char *row, *name;
        bool tells, user_namespaces, recursive_read_only, is_unknown;
    } rows[] = {
        {"the default one", NULL, true, false, true, false},
        {"the default one by its name", "", true, false, true, false},
        {"a named one", "kata", true, true, false, false},
        {"one of which nothing is told", "bare", true, false, false, false},
        {"one that is not there", "gone", true, false, false, true},
        {"any when none are told", "kata", false, false, false, false},
        {"the default one when none are told", "", false, false, false, false},
    };
    Cri__RuntimeHandlerFeatures features[2] = {CRI__RUNTIME_HANDLER_FEATURES__INIT,
                                               CRI__RUNTIME_HANDLER_FEATURES__INIT};
    Cri__RuntimeHandler handlers[3] = {CRI__RUNTIME_HANDLER__INIT, CRI__RUNTIME_HANDLER__INIT,
                                       CRI__RUNTIME_HANDLER__INIT};
    Cri__RuntimeHandler *list[] = {&handlers[0], &handlers[1], &handlers[2]};
    features[0].recursive_read_only_mounts = true;
    features[1].user_namespaces = true;
    handlers[0].name = default_name;
    handlers[0].features = &features[0];
    handlers[1].name = kata_name;
    handlers[1].features = &features[1];
    handlers[2].name = bare_name;
    Cri__StatusResponse status = CRI__STATUS_RESPONSE__INIT;
    status.runtime_handlers = list;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        status.n_runtime_handlers = rows[i].tells ? ARRAY_SIZE(list) : 0;
        struct runtime_handler got = runtime_handler_of(&status, rows[i].name);
        if (got.user_namespaces != rows[i].user_namespaces ||
            got.recursive_read_only != rows[i].recursive_read_only ||
            got.is_unknown != rows[i].is_unknown)
            fail_msg("%s", rows[i].row);
        assert_string_equal(got.name, rows[i].name ? rows[i].name : "");
    }
    assert_false(runtime_handler_of(NULL, "kata").is_unknown);
}

TEST_MAIN(TEST(a_handler_has_the_features_that_are_told_of_it))
