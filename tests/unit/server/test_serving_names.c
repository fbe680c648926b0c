#include "server/serving_names.h"

#include "base/buf.h"
#include "tests/lib/test.h"

#define ADDRESSES_MAX 8

struct row {
    const char *name;
    struct {
        const char *type, *address;
    } addresses[ADDRESSES_MAX];
    bool is_dns_name_enough;
    const char *want; /* "dns,dns|ip,ip"; NULL: too little */
};

static void add_list(struct buf *text, const struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        buf_printf(text, "%s%s", i > 0 ? "," : "", list->items[i]);
}

TEST_CASE(names_and_addresses_come_from_the_status)
{
    static const struct row rows[] = {
        {"no status", {{0}}, false, NULL},
        {"the usual node",
         {{"InternalIP", "10.0.0.1"}, {"Hostname", "node-a"}},
         false,
         "node-a|10.0.0.1"},
        {"all kinds, sorted, once each",
         {{"Hostname", "b"},
          {"InternalDNS", "a"},
          {"ExternalDNS", "b"},
          {"InternalIP", "10.0.0.2"},
          {"ExternalIP", "10.0.0.1"},
          {"ExternalIP", "10.0.0.2"},
          {"Strange", "c"}},
         false,
         "a,b|10.0.0.1,10.0.0.2"},
        {"a host name that is an address", {{"Hostname", "10.0.0.1"}}, false, "|10.0.0.1"},
        {"a DNS name that looks like one stays a name",
         {{"InternalDNS", "10.0.0.1"}, {"InternalIP", "10.0.0.2"}},
         false,
         "10.0.0.1|10.0.0.2"},
        {"one address written in two ways",
         {{"InternalIP", "fd00::1"}, {"ExternalIP", "fd00:0::0001"}},
         false,
         "|fd00::1"},
        {"what is no address is none", {{"InternalIP", "node-a"}, {"Hostname", "h"}}, false, NULL},
        {"names alone are too little", {{"Hostname", "h"}}, false, NULL},
        {"unless they are enough", {{"Hostname", "h"}}, true, "h|"},
        {"empty ones do not count", {{"Hostname", ""}, {"InternalIP", ""}}, true, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__NodeAddress items[ADDRESSES_MAX], *list[ADDRESSES_MAX];
        Core__NodeStatus status = CORE__NODE_STATUS__INIT;
        Core__Node node = CORE__NODE__INIT;
        status.addresses = list;
        for (size_t k = 0; k < ADDRESSES_MAX && rows[i].addresses[k].type; k++) {
            items[k] = (Core__NodeAddress)CORE__NODE_ADDRESS__INIT;
            items[k].type = arena_strdup(arena, rows[i].addresses[k].type);
            items[k].address = arena_strdup(arena, rows[i].addresses[k].address);
            list[status.n_addresses++] = &items[k];
        }
        if (status.n_addresses > 0)
            node.status = &status;
        struct x509_subject subject;
        bool is_enough =
            serving_names(&node, "node-a", rows[i].is_dns_name_enough, arena, &subject);
        if (is_enough != (rows[i].want != NULL))
            fail_msg("%s", rows[i].name);
        if (!is_enough)
            continue;
        AUTO(buf) struct buf text = {0};
        buf_init(&text, KiB);
        add_list(&text, &subject.dns_names);
        buf_add_char(&text, '|');
        add_list(&text, &subject.addresses);
        assert_string_equal(buf_text(&text), rows[i].want);
        assert_string_equal(subject.common_name, "system:node:node-a");
        assert_int_equal(subject.organizations.count, 1);
        assert_string_equal(subject.organizations.items[0], "system:nodes");
    }
}

TEST_MAIN(TEST(names_and_addresses_come_from_the_status))
