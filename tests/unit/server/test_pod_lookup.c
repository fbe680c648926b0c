#include "kube/codec.h"
#include "server/pod_lookup.h"
#include "tests/lib/test.h"

#define SPEC                                                                                       \
    "{\"metadata\":{\"name\":\"web\"},\"spec\":{"                                                  \
    "\"initContainers\":[{\"name\":\"init\"},{\"name\":\"asks\",\"tty\":true}],"                   \
    "\"containers\":[{\"name\":\"shell\",\"tty\":true},{\"name\":\"server\",\"tty\":false}],"      \
    "\"ephemeralContainers\":[{\"name\":\"debug\",\"tty\":true},{\"name\":\"trace\"}]}}"

TEST_CASE(a_container_of_any_kind_is_found_with_its_terminal)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message = NULL;
    assert_no_error(
        kube_decode_json(STR_LITERAL(SPEC), &core__pod__descriptor, &options, arena, &message));
    const Core__PodSpec *spec = ((const Core__Pod *)message)->spec;
    static const struct {
        const char *name;
        bool is_there, has_tty;
    } rows[] = {
        {"shell", true, true}, {"server", true, false}, {"init", true, false}, {"asks", true, true},
        {"debug", true, true}, {"trace", true, false},  {"web", false, false}, {"", false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        bool has_tty = !rows[i].has_tty;
        assert_int_equal(container_lookup(spec, rows[i].name, &has_tty), rows[i].is_there);
        assert_int_equal(has_tty, rows[i].is_there ? rows[i].has_tty : true);
        assert_int_equal(container_lookup(spec, rows[i].name, NULL), rows[i].is_there);
    }
}

TEST_MAIN(TEST(a_container_of_any_kind_is_found_with_its_terminal))
