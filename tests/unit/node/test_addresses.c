/* The choice is tested in test_address_choice.c; here, that the kernel is asked as it needs. */
#include "node/addresses.h"

#include "tests/lib/test.h"

static const char *outcome(const char *node_ip, const char *hostname, struct arena *arena)
{
    const char *const node_ips[] = {node_ip, NULL};
    struct node_addresses_input input = {
        .node_ips = node_ips, .hostname = hostname, .node_name = hostname};
    struct node_addresses found = {0};
    AUTO(error) struct error *err = node_addresses_find_blocking(&input, arena, &found);
    if (err)
        return arena_strdup(arena, err->message);
    assert_int_equal(found.count, 2);
    assert_string_equal(found.items[0].type, "InternalIP");
    assert_string_equal(found.items[1].type, "Hostname");
    return arena_printf(arena, "%s,%s", found.items[0].address, found.items[1].address);
}

TEST_CASE(the_kernel_is_asked_for_its_addresses)
{
    static const struct {
        const char *node_ip, *hostname, *want;
    } rows[] = {
        {"127.0.0.1", "node-a", "failed to validate nodeIP: nodeIP can't be loopback address"},
        {"203.0.113.77", "node-a", /* for documents only (RFC 5737) */
         "failed to validate nodeIP: node IP: \"203.0.113.77\" not found in the host's network "
         "interfaces"},
        {NULL, "203.0.113.77", "203.0.113.77,203.0.113.77"},
        {NULL, "2001:db8::0:1", "2001:db8::1,2001:db8::0:1"},
        {"::", "2001:db8::1", "2001:db8::1,2001:db8::1"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(outcome(rows[i].node_ip, rows[i].hostname, arena), rows[i].want);
}

TEST_MAIN(TEST(the_kernel_is_asked_for_its_addresses))
