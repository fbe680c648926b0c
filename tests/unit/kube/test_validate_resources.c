#include "tests/unit/kube/validate_rows.h"

#define R0 "spec.containers[0].resources."
#define NEEDS(fields)                                                                              \
    {                                                                                              \
        .container = "resources: {" fields "}"                                                     \
    }

TEST_CASE(good_resources_pass)
{
    static const struct validate_row rows[] = {
        {"the usual",
         NEEDS("requests: {cpu: 100m, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi, "
               "ephemeral-storage: 1G}"),
         NULL},
        {"a device", NEEDS("limits: {vendor.com/gpu: 2}"), NULL},
        {"huge pages", NEEDS("limits: {cpu: 1, hugepages-2Mi: 4Mi}"), NULL},
        {"the pod level",
         {.spec = "resources: {requests: {cpu: 2, memory: 1Gi}, limits: {cpu: 4}}",
          .container = "resources: {requests: {cpu: 2}, limits: {cpu: 4}}"},
         NULL},
        {"zero", NEEDS("requests: {cpu: 0}, limits: {memory: 0}"), NULL},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(resources_of_containers_are_checked)
{
    static const struct validate_row rows[] = {
        {"less than nothing", NEEDS("requests: {cpu: -1500m}"),
         R0 "requests[cpu]: Invalid value: \"-1500m\": must be greater than or equal to 0"},
        {"more than the limit", NEEDS("requests: {cpu: 2}, limits: {cpu: 1500m}"),
         R0 "requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1500m"},
        {"half a device", NEEDS("limits: {vendor.com/gpu: 500m}"),
         R0 "limits[vendor.com/gpu]: Invalid value: \"500m\": must be an integer\n" R0
            "requests[vendor.com/gpu]: Invalid value: \"500m\": must be an integer"},
        {"a device overcommitted",
         NEEDS("requests: {vendor.com/gpu: 1}, limits: {vendor.com/gpu: 2}"),
         R0 "requests: Invalid value: \"1\": must be equal to vendor.com/gpu limit of 2"},
        {"a device without a limit", NEEDS("requests: {vendor.com/gpu: 1}"),
         R0 "limits: Required value: Limit must be set for non overcommitable resources"},
        {"an unknown resource", NEEDS("requests: {gpu: 1}"),
         R0 "requests[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully "
            "qualified\n" R0
            "requests[gpu]: Invalid value: \"gpu\": must be a standard resource for containers"},
        {"a resource of quotas", NEEDS("requests: {pods: 1}"),
         R0 "requests[pods]: Invalid value: \"pods\": must be a standard resource for containers"},
        {"a name that is none", NEEDS("limits: {'-': 1}, requests: {'-': 1}"),
         R0 "limits[-]: Invalid value: \"-\": " NOT_A_KEY_NAME "\n" R0
            "limits[-]: Invalid value: \"-\": must be a standard resource for containers\n" R0
            "requests[-]: Invalid value: \"-\": " NOT_A_KEY_NAME "\n" R0
            "requests[-]: Invalid value: \"-\": must be a standard resource for containers"},
        {"huge pages alone", NEEDS("limits: {hugepages-2Mi: 4Mi}"),
         "spec.containers[0].resources: Forbidden: HugePages require cpu or memory"},
        {"one and a half pages", NEEDS("limits: {cpu: 1, hugepages-2Mi: 3Mi}"),
         R0 "limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple "
            "of hugepages-2Mi\n" R0
            "requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer "
            "multiple of hugepages-2Mi"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

/* The text codecs refuse it; a message from elsewhere may hold it. */
TEST_CASE(a_quantity_that_is_none_is_named)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod =
        pod_build(&(struct pod_text){.container = "resources: {requests: {cpu: 1}}"}, arena);
    pod->spec->containers[0]->resources->requests[0]->value->string = arena_strdup(arena, "lots");
    assert_string_equal(validate_text(pod, arena),
                        R0 "requests[cpu]: Invalid value: \"lots\": quantities must match the "
                           "regular expression "
                           "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

TEST_CASE(resources_of_pods_are_checked)
{
    static const struct validate_row rows[] = {
        {"claims",
         {.spec = "resourceClaims: [{name: a, resourceClaimName: b}], resources: {claims: [{name: "
                  "a}]}"},
         "spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level"},
        {"another resource",
         {.spec = "resources: {requests: {ephemeral-storage: 1}}"},
         "spec.resources.requests[ephemeral-storage]: Unsupported value: \"ephemeral-storage\": "
         "supported values: \"cpu\", \"hugepages-\", \"memory\""},
        {"less than the containers ask for",
         {.spec = "resources: {requests: {cpu: 1}}",
          .container = "resources: {requests: {cpu: 2}}"},
         "spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to "
         "aggregate container requests of 2"},
        {"a container above the pod",
         {.spec = "resources: {limits: {memory: 1Gi}}",
          .container = "resources: {requests: {memory: 1Gi}, limits: {memory: 2Gi}}"},
         "spec.resources.containers[0][memory].limits: Invalid value: \"2Gi\": must be less than "
         "or equal to pod limits of 1Gi"},
        {"an overhead of huge pages",
         {.spec = "overhead: {hugepages-2Mi: 2Mi}"},
         "spec.overhead: Forbidden: HugePages require cpu or memory"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_MAIN(TEST(good_resources_pass), TEST(resources_of_containers_are_checked),
          TEST(a_quantity_that_is_none_is_named), TEST(resources_of_pods_are_checked))
