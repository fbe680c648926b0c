#include "tests/unit/kube/validate_rows.h"

#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"
#define NODE(term)                                                                                 \
    {                                                                                              \
        .spec = "affinity: {nodeAffinity: {" REQUIRED ": {nodeSelectorTerms: [" term "]}}}"        \
    }
#define NODE_TERM "spec.affinity.nodeAffinity." REQUIRED ".nodeSelectorTerms[0]."
#define TOLERATION(fields)                                                                         \
    {                                                                                              \
        .spec = "tolerations: [{" fields "}]"                                                      \
    }
#define T0 "spec.tolerations[0]."
#define SPREAD(fields)                                                                             \
    {                                                                                              \
        .spec = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: "  \
                "DoNotSchedule, labelSelector: {matchLabels: {a: b}}" fields "}]"                  \
    }
#define S0 "spec.topologySpreadConstraints[0]."

TEST_CASE(good_wishes_pass)
{
    static const struct validate_row rows[] = {
        {"node affinity",
         {.spec =
              "affinity: {nodeAffinity: {" REQUIRED
              ": {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: [b]}, "
              "{key: c, operator: Exists}, {key: d, operator: Gt, values: ['1']}], "
              "matchFields: [{key: metadata.name, operator: In, values: [node-a]}]}, {}]}, "
              "" PREFERRED ": [{weight: 100, preference: {matchExpressions: [{key: a, operator: "
              "In, values: ['odd one']}]}}]}}"},
         NULL},
        {"pod affinity",
         {.spec = "affinity: {podAffinity: {" REQUIRED
                  ": [{topologyKey: zone, labelSelector: {matchLabels: {a: b}}, matchLabelKeys: "
                  "[c], mismatchLabelKeys: [d], namespaces: [x]}]}, podAntiAffinity: {" PREFERRED
                  ": [{weight: 1, podAffinityTerm: {topologyKey: zone}}]}}"},
         NULL},
        {"tolerations",
         {.spec = "tolerations: [{operator: Exists}, {key: a, value: b}, {key: a, operator: Equal, "
                  "effect: NoExecute, tolerationSeconds: 5}, {key: a, operator: Exists, effect: "
                  "NoSchedule}]"},
         NULL},
        {"spreading",
         SPREAD(", minDomains: 2, nodeAffinityPolicy: Honor, nodeTaintsPolicy: Ignore, "
                "matchLabelKeys: [pod-template-hash]"),
         NULL},
        {"gates", {.spec = "schedulingGates: [{name: a}, {name: example.com/b}]"}, NULL},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(node_affinity_is_checked)
{
    static const struct validate_row rows[] = {
        {"no term", NODE(""),
         "spec.affinity.nodeAffinity." REQUIRED
         ".nodeSelectorTerms: Required value: must have at least one node selector term"},
        {"In without values", NODE("{matchExpressions: [{key: a, operator: In}]}"),
         NODE_TERM "matchExpressions[0].values: Required value: must be specified when `operator` "
                   "is 'In' or 'NotIn'"},
        {"Exists with values",
         NODE("{matchExpressions: [{key: a, operator: Exists, values: [b]}]}"),
         NODE_TERM "matchExpressions[0].values: Forbidden: may not be specified when `operator` is "
                   "'Exists' or 'DoesNotExist'"},
        {"Gt without a number", NODE("{matchExpressions: [{key: a, operator: Gt}]}"),
         NODE_TERM "matchExpressions[0].values: Required value: must be specified single value "
                   "when `operator` is 'Lt' or 'Gt'"},
        {"an unknown operator, key and value",
         NODE("{matchExpressions: [{key: '-', operator: Is, values: ['-']}]}"),
         NODE_TERM "matchExpressions[0].operator: Invalid value: \"Is\": not a valid selector "
                   "operator\n" NODE_TERM
                   "matchExpressions[0].key: Invalid value: \"-\": " NOT_A_KEY_NAME "\n" NODE_TERM
                   "matchExpressions[0].values[0]: Invalid value: \"-\": " NOT_A_LABEL_VALUE},
        {"fields",
         NODE(
             "{matchFields: [{key: metadata.uid, operator: Exists}, {key: metadata.name, operator: "
             "In, values: [a, B]}]}"),
         NODE_TERM "matchFields[0].operator: Invalid value: \"Exists\": not a valid selector "
                   "operator\n" NODE_TERM
                   "matchFields[0].key: Invalid value: \"metadata.uid\": not a valid field "
                   "selector key\n" NODE_TERM
                   "matchFields[1].values: Required value: must be only one value when `operator` "
                   "is 'In' or 'NotIn' for node field selector\n" NODE_TERM
                   "matchFields[1].values[1]: Invalid value: \"B\": " NOT_A_SUBDOMAIN},
        {"a weight",
         {.spec = "affinity: {nodeAffinity: {" PREFERRED ": [{weight: 101}]}}"},
         "spec.affinity.nodeAffinity." PREFERRED
         "[0].weight: Invalid value: 101: must be in the range 1-100"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

#define POD_TERM "spec.affinity.podAffinity." REQUIRED "[0]"
#define POD(term)                                                                                  \
    {                                                                                              \
        .spec = "affinity: {podAffinity: {" REQUIRED ": [{" term "}]}}"                            \
    }
TEST_CASE(pod_affinity_is_checked)
{
    static const struct validate_row rows[] = {
        {"no topology", POD(""),
         POD_TERM ".topologyKey: Required value: can not be empty\n" POD_TERM
                  ".topologyKey: Invalid value: \"\": name part must be non-empty\n" POD_TERM
                  ".topologyKey: Invalid value: \"\": " NOT_A_KEY_NAME},
        {"a selector",
         POD("topologyKey: z, labelSelector: {matchLabels: {a: '-'}, matchExpressions: [{key: a, "
             "operator: In}, {key: b, operator: Gt, values: ['-']}]}"),
         POD_TERM
         ".labelSelector.matchLabels: Invalid value: \"-\": " NOT_A_LABEL_VALUE "\n" POD_TERM
         ".labelSelector.matchExpressions[0].values: Required value: must be specified "
         "when `operator` is 'In' or 'NotIn'\n" POD_TERM
         ".labelSelector.matchExpressions[1].operator: Invalid value: \"Gt\": not a valid "
         "selector operator\n" POD_TERM
         ".labelSelector.matchExpressions[1].values[0]: Invalid value: \"-\": " NOT_A_LABEL_VALUE},
        {"a namespace", POD("topologyKey: z, namespaces: [A]"),
         POD_TERM ".namespace: Invalid value: \"A\": " NOT_A_LABEL},
        {"keys without a selector",
         POD("topologyKey: z, matchLabelKeys: [a], mismatchLabelKeys: [a]"),
         POD_TERM ".matchLabelKeys: Forbidden: must not be specified when labelSelector is not "
                  "set\n" POD_TERM
                  ".mismatchLabelKeys: Forbidden: must not be specified when labelSelector is not "
                  "set\n" POD_TERM
                  ".matchLabelKeys[0]: Invalid value: \"a\": exists in both matchLabelKeys and "
                  "mismatchLabelKeys"},
        {"a key that the selector names twice",
         POD("topologyKey: z, matchLabelKeys: [a], labelSelector: {matchLabels: {a: b}, "
             "matchExpressions: [{key: a, operator: Exists}]}"),
         POD_TERM "[0]: Invalid value: \"a\": exists in both matchLabelKeys and labelSelector"},
        {"a weight of anti-affinity",
         {.spec = "affinity: {podAntiAffinity: {" PREFERRED
                  ": [{weight: 0, podAffinityTerm: {topologyKey: z}}]}}"},
         "spec.affinity.podAntiAffinity." PREFERRED
         "[0].weight: Invalid value: 0: must be in the range 1-100"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(tolerations_are_checked)
{
    static const struct validate_row rows[] = {
        {"an empty key with a value", TOLERATION("value: a"),
         T0 "operator: Invalid value: \"\": operator must be Exists when `key` is empty, which "
            "means \"match all values and all keys\""},
        {"a key and a value", TOLERATION("key: '-', value: '-'"),
         T0 "key: Invalid value: \"-\": " NOT_A_KEY_NAME "\n" T0
            "operator: Invalid value: \"-\": " NOT_A_LABEL_VALUE},
        {"Exists with a value", TOLERATION("key: a, operator: Exists, value: b"),
         T0 "operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'"},
        {"an unknown operator", TOLERATION("key: a, operator: In"),
         T0 "operator: Unsupported value: \"In\": supported values: \"Equal\", \"Exists\""},
        {"an operator behind a gate", TOLERATION("key: a, operator: Lt, value: '5'"),
         T0 "operator: Unsupported value: \"Lt\": supported values: \"Equal\", \"Exists\", \"Lt\", "
            "\"Gt\""},
        {"seconds of another effect",
         TOLERATION("key: a, effect: NoSchedule, tolerationSeconds: 5"),
         T0 "effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when "
            "`tolerationSeconds` is set"},
        {"an effect", TOLERATION("key: a, effect: Odd"),
         T0 "effect: Unsupported value: \"Odd\": supported values: \"NoSchedule\", "
            "\"PreferNoSchedule\", \"NoExecute\""},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(spreading_and_gates_are_checked)
{
    static const struct validate_row rows[] = {
        {"nothing at all",
         {.spec = "topologySpreadConstraints: [{}]"},
         S0 "maxSkew: Invalid value: 0: must be greater than zero\n" S0
            "topologyKey: Required value: can not be empty\n" S0
            "whenUnsatisfiable: Unsupported value: \"\": supported values: \"DoNotSchedule\", "
            "\"ScheduleAnyway\""},
        {"domains of a wish",
         {.spec = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: "
                  "ScheduleAnyway, minDomains: 0}]"},
         S0 "minDomains: Invalid value: 0: must be greater than zero\n" S0
            "minDomains: Invalid value: 0: can only use minDomains if "
            "whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway"},
        {"policies", SPREAD(", nodeAffinityPolicy: Odd, nodeTaintsPolicy: Odd"),
         S0
         "nodeAffinityPolicy: Unsupported value: \"Odd\": supported values: \"Honor\", "
         "\"Ignore\"\n" S0
         "nodeTaintsPolicy: Unsupported value: \"Odd\": supported values: \"Honor\", \"Ignore\""},
        {"the same twice",
         {.spec = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: "
                  "DoNotSchedule}, {maxSkew: 2, topologyKey: z, whenUnsatisfiable: "
                  "DoNotSchedule}]"},
         S0 "{topologyKey, whenUnsatisfiable}: Duplicate value: \"{z, DoNotSchedule}\""},
        {"gates",
         {.spec = "schedulingGates: [{name: a}, {name: a}, {name: '-'}]"},
         "spec.schedulingGates[1]: Duplicate value: \"a\"\n"
         "spec.schedulingGates[2]: Invalid value: \"-\": " NOT_A_KEY_NAME},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_MAIN(TEST(good_wishes_pass), TEST(node_affinity_is_checked), TEST(pod_affinity_is_checked),
          TEST(tolerations_are_checked), TEST(spreading_and_gates_are_checked))
