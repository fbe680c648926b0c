#include "tests/unit/node/node_bed.h"

#include "kube/patch.h"

static const struct changed_row {
    const char *name;
    const char *before;
    const char *after;
    bool want;
} changed_rows[] = {
    {"nothing", "{}", "{}", false},
    {"no status and an empty one", "{}", "{'status':{}}", false},
    {"heartbeats",
     "{'status':{'conditions':[{'type':'A','status':'True','lastHeartbeatTime':"
     "'2026-01-01T00:00:00Z'}]}}",
     "{'status':{'conditions':[{'type':'A','status':'True','lastHeartbeatTime':"
     "'2026-01-02T00:00:00Z'}]}}",
     false},
    {"a transition",
     "{'status':{'conditions':[{'type':'A','status':'True','lastTransitionTime':"
     "'2026-01-01T00:00:00Z'}]}}",
     "{'status':{'conditions':[{'type':'A','status':'True','lastTransitionTime':"
     "'2026-01-02T00:00:00Z'}]}}",
     true},
    {"a message", "{'status':{'conditions':[{'type':'A','status':'True','message':'a'}]}}",
     "{'status':{'conditions':[{'type':'A','status':'True','message':'b'}]}}", true},
    {"conditions in another order",
     "{'status':{'conditions':[{'type':'A','status':'True'},{'type':'B','status':'False'}]}}",
     "{'status':{'conditions':[{'type':'B','status':'False'},{'type':'A','status':'True'}]}}",
     false},
    {"a condition more", "{'status':{'conditions':[{'type':'A','status':'True'}]}}",
     "{'status':{'conditions':[{'type':'A','status':'True'},{'type':'B','status':'True'}]}}", true},
    {"an amount", "{'status':{'capacity':{'memory':'1Gi'}}}",
     "{'status':{'capacity':{'memory':'2Gi'}}}", true},
    {"the same amount", "{'status':{'allocatable':{'memory':'1Gi','cpu':'1'}}}",
     "{'status':{'allocatable':{'cpu':'1000m','memory':'1073741824'}}}", false},
    {"an amount more", "{'status':{'allocatable':{'cpu':'1'}}}",
     "{'status':{'allocatable':{'cpu':'1','x':'0'}}}", true},
    {"another amount", "{'status':{'allocatable':{'y':'0'}}}",
     "{'status':{'allocatable':{'x':'0'}}}", true},
    {"addresses in another order",
     "{'status':{'addresses':[{'type':'A','address':'1'},{'type':'B','address':'2'}]}}",
     "{'status':{'addresses':[{'type':'B','address':'2'},{'type':'A','address':'1'}]}}", true},
    {"an image", "{'status':{'images':[{'names':['a']}]}}", "{'status':{'images':[]}}", true},
    {"node info", "{'status':{'nodeInfo':{'bootID':'1'}}}",
     "{'status':{'nodeInfo':{'bootID':'2'}}}", true},
    {"a label", "{'metadata':{'labels':{'a':'1'}}}", "{'metadata':{'labels':{'a':'2'}}}", true},
    {"no labels", "{}", "{'metadata':{'labels':{}}}", false},
    {"an annotation", "{'metadata':{'annotations':{'a':'1'}}}", "{'metadata':{}}", true},
    {"a version", "{'metadata':{'resourceVersion':'1'}}", "{'metadata':{'resourceVersion':'2'}}",
     false},
    {"the spec", "{'spec':{'unschedulable':true}}", "{}", false},
};

TEST_CASE(what_is_worth_sending)
{
    for (size_t i = 0; i < ARRAY_SIZE(changed_rows); i++) {
        const struct changed_row *row = &changed_rows[i];
        AUTO(bed) struct node_bed bed;
        bed_init(&bed);
        const Core__Node *before = bed_node(&bed, row->before), *after = bed_node(&bed, row->after);
        if (node_status_has_changed(before, after) != row->want)
            fail_msg("%s: want %d", row->name, row->want);
        assert_int_equal(node_status_has_changed(after, before), row->want);
    }
}

#define TIME(day) "'2026-01-0" #day "T00:00:00Z'"
#define CONDITION(type, status, day)                                                               \
    "{'type':'" type "','status':'" status "','lastHeartbeatTime':" TIME(day) "}"

static const struct patch_row {
    const char *name;
    const char *before;
    const char *after;
    const char *want;
} patch_rows[] = {
    {"nothing", "{'status':{'phase':'Running'}}", "{'status':{'phase':'Running'}}", "{}"},
    {"neither spec nor version nor name",
     "{'metadata':{'name':'a','resourceVersion':'1','uid':'u'},'spec':{'providerID':'x'}}",
     "{'metadata':{'name':'b','resourceVersion':'2'},'spec':{'unschedulable':true},'status':{"
     "'phase':'Running'}}",
     "{'status':{'phase':'Running'}}"},
    {"heartbeats",
     "{'status':{'conditions':[" CONDITION("Other", "True", 1) "," CONDITION(
         "MemoryPressure", "False", 1) "," CONDITION("Ready", "True", 1) "]}}",
     "{'status':{'conditions':[" CONDITION("Other", "True", 1) "," CONDITION(
         "MemoryPressure", "False", 2) "," CONDITION("Ready", "False", 2) "]}}",
     "{'status':{'$setElementOrder/conditions':[{'type':'Other'},{'type':'MemoryPressure'},{'type':"
     "'Ready'}],'conditions':[{'lastHeartbeatTime':" TIME(
         2) ",'type':'MemoryPressure'},{"
            "'lastHeartbeatTime':" TIME(2) ",'status':'False','type':'Ready'}]}}"},
    {"the first conditions", "{'status':{'phase':'Running'}}",
     "{'status':{'phase':'Running','conditions':[" CONDITION("Ready", "True", 1) "]}}",
     "{'status':{'conditions':[{'lastHeartbeatTime':" TIME(
         1) ",'status':'True','type':'Ready'}]}}"},
    {"the first addresses", "{}", "{'status':{'addresses':[{'type':'A','address':'1'}]}}",
     "{'status':{'addresses':[{'address':'1','type':'A'}]}}"},
    {"other addresses", "{'status':{'addresses':[{'type':'A','address':'1'}]}}",
     "{'status':{'addresses':[{'type':'A','address':'2'},{'type':'A','address':'3'}]}}",
     "{'status':{'addresses':[{'address':'2','type':'A'},{'address':'3','type':'A'},{'$patch':"
     "'replace'}]}}"},
    {"other addresses and more",
     "{'status':{'phase':'Running','addresses':[{'type':'A','address':'1'}]}}",
     "{'status':{'phase':'Terminated','addresses':[{'type':'B','address':'1'}]}}",
     "{'status':{'addresses':[{'address':'1','type':'B'},{'$patch':'replace'}],'phase':"
     "'Terminated'}}"},
    {"no addresses any more", "{'status':{'addresses':[{'type':'A','address':'1'}]}}", "{}",
     "{'status':{'addresses':[{'$patch':'replace'}]}}"},
    {"maps by key", "{'status':{'capacity':{'a':'1','b':'1','c':'1'}}}",
     "{'status':{'capacity':{'a':'1','b':'2'}}}", "{'status':{'capacity':{'b':'2','c':null}}}"},
    {"whole lists",
     "{'status':{'images':[{'names':['a']}],'declaredFeatures':['A'],'volumesInUse':['v']}}",
     "{'status':{'images':[{'names':['b']},{'names':['a']}],'volumesInUse':['v','w']}}",
     "{'status':{'declaredFeatures':null,'images':[{'names':['b']},{'names':['a']}],'volumesInUse':"
     "['v','w']}}"},
    {"labels and annotations",
     "{'metadata':{'name':'a','labels':{'a':'1','b':'1'},'annotations':{'x':'1'}}}",
     "{'metadata':{'name':'a','labels':{'a':'2'}}}",
     "{'metadata':{'annotations':null,'labels':{'a':'2','b':null}}}"},
    {"the last label of a nameless node", "{'metadata':{'labels':{'a':'1'}}}", "{}",
     "{'metadata':{'labels':null}}"},
};

/* The status as the server has it after the patch. */
static void assert_applies(const struct patch_row *row, struct node_bed *bed, const char *patch)
{
    const struct doc_node *before = NULL, *after = NULL, *got = NULL;
    const Core__Node *old = bed_node(bed, row->before), *now = bed_node(bed, row->after);
    assert_no_error(kube_message_to_document(&old->base, NULL, bed->arena, &before));
    assert_no_error(kube_message_to_document(&now->base, NULL, bed->arena, &after));
    assert_no_error(kube_patch_strategic(before, doc_parse(patch, bed->arena),
                                         &core__node__descriptor, bed->arena, &got));
    const Core__Node *patched = bed_node(bed, doc_print(got, bed->arena));
    if (node_status_has_changed(patched, now))
        fail_msg("%s: got\n%s\nwant\n%s", row->name, doc_print(got, bed->arena),
                 doc_print(after, bed->arena));
}

TEST_CASE(a_patch_makes_the_one_of_the_other)
{
    for (size_t i = 0; i < ARRAY_SIZE(patch_rows); i++) {
        const struct patch_row *row = &patch_rows[i];
        AUTO(bed) struct node_bed bed;
        bed_init(&bed);
        const char *got = bed_patch(&bed, bed_node(&bed, row->before), bed_node(&bed, row->after));
        if (strcmp(got, row->want) != 0)
            fail_msg("%s: got\n%s\nwant\n%s", row->name, got, row->want);
        assert_applies(row, &bed, got);
    }
}

/* The two patches a real kubelet sent after it had registered: nothing new, then ready. With the
 * gate off what it declared stays, and its amounts of a device are somebody's. */
TEST_CASE(patches_are_those_a_real_kubelet_sent)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    const struct doc_node *event = bed_recorded(&bed, "watch-node.jsonl", 0);
    const Core__Node *registered = bed_node(&bed, doc_print(doc_get(event, "object"), bed.arena));
    bed.input.not_ready = (const char *const[]){"CSINode is not yet initialized"};
    bed.input.n_not_ready = 1;
    const Core__Node *now = node_status_update(&bed.input, registered, bed.arena);
    assert_string_equal(bed_patch(&bed, registered, now), "{}");
    assert_false(node_status_has_changed(registered, now));
    bed.input.n_not_ready = 0;
    now = node_status_update(&bed.input, registered, bed.arena);
    assert_string_equal(
        bed_patch(&bed, registered, now),
        "{'status':{'$setElementOrder/conditions':[{'type':'MemoryPressure'},{'type':"
        "'DiskPressure'},{'type':'PIDPressure'},{'type':'Ready'}],'conditions':[{'message':'"
        "kubelet "
        "is posting ready status','reason':'KubeletReady','status':'True','type':'Ready'}]}}");
    assert_true(node_status_has_changed(registered, now));
}

TEST_CASE(a_heartbeat_sends_all_conditions)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    const Core__Node *before = node_object_initial(&bed.input, bed.arena);
    bed.input.now_ns += 300 * NS_PER_SEC;
    const Core__Node *now = node_status_update(&bed.input, before, bed.arena);
    assert_false(node_status_has_changed(before, now));
    assert_string_equal(
        bed_patch(&bed, before, now),
        "{'status':{'$setElementOrder/conditions':[{'type':'MemoryPressure'},{'type':"
        "'DiskPressure'},{'type':'PIDPressure'},{'type':'Ready'}],'conditions':[{"
        "'lastHeartbeatTime':'2026-11-21T03:11:54Z','type':'MemoryPressure'},{'lastHeartbeatTime':"
        "'2026-11-21T03:11:54Z','type':'DiskPressure'},{'lastHeartbeatTime':'2026-11-21T03:11:54Z',"
        "'type':'PIDPressure'},{'lastHeartbeatTime':'2026-11-21T03:11:54Z','type':'Ready'}]}}");
}

TEST_CASE(a_patch_that_does_not_fit_is_an_error)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    AUTO(buf) struct buf out;
    buf_init(&out, 10);
    assert_error_code(node_status_patch(bed_node(&bed, "{}"),
                                        bed_node(&bed, "{'status':{'phase':'Running'}}"), &out),
                      ERROR_RESOURCE_EXHAUSTED);
}

TEST_MAIN(TEST(what_is_worth_sending), TEST(a_patch_makes_the_one_of_the_other),
          TEST(patches_are_those_a_real_kubelet_sent), TEST(a_heartbeat_sends_all_conditions),
          TEST(a_patch_that_does_not_fit_is_an_error))
