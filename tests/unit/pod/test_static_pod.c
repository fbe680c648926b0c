#include "pod/static_pod.h"

#include "kube/resources.h"
#include "tests/lib/test.h"

static struct error *read_text(const char *text, struct pod_object **ret)
{
    struct static_pod_input input = {.text = str_from(text),
                                     .path = "/etc/manifests/web.yaml",
                                     .node_name = "node-a",
                                     .seen_ns = 1000 * NS_PER_SEC + 5};
    return static_pod_read(&input, ret);
}

static const char *const good = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"
                                "spec:\n  containers:\n  - {name: c, image: busybox}\n";

TEST_CASE(a_manifest_becomes_a_static_pod_of_this_node)
{
    AUTO(pod_object) struct pod_object *object = NULL;
    assert_no_error(read_text(good, &object));
    const Core__Pod *pod = object->pod;
    assert_string_equal(pod->metadata->name, "web-node-a");
    assert_string_equal(pod->metadata->namespace_, "default");
    assert_string_equal(pod->spec->node_name, "node-a");
    assert_int_equal(strlen(pod->metadata->uid), 32);
    assert_string_equal(pod_annotation(pod, "kubernetes.io/config.hash"), pod->metadata->uid);
    assert_string_equal(pod_annotation(pod, "kubernetes.io/config.source"), "file");
    assert_string_equal(pod_annotation(pod, "kubernetes.io/config.seen"),
                        "1970-01-01T00:16:40.000000005Z");
    assert_string_equal(pod->spec->tolerations[0]->effect, "NoExecute");
    assert_string_equal(pod->spec->restart_policy, "Always");
    assert_string_equal(pod->spec->containers[0]->image_pull_policy, "Always");
    assert_true(pod_is_static(pod));
}

TEST_CASE(the_uid_depends_on_content_alone_and_stays_when_given)
{
    AUTO(pod_object) struct pod_object *a = NULL;
    AUTO(pod_object) struct pod_object *b = NULL;
    AUTO(pod_object) struct pod_object *c = NULL;
    AUTO(pod_object) struct pod_object *d = NULL;
    assert_no_error(read_text(good, &a));
    assert_no_error(read_text(good, &b));
    assert_string_equal(a->pod->metadata->uid, b->pod->metadata->uid);
    assert_no_error(read_text("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"
                              "spec: {containers: [{name: c, image: 'busybox:2'}]}\n",
                              &c));
    assert_string_not_equal(a->pod->metadata->uid, c->pod->metadata->uid);
    assert_no_error(
        read_text("{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": "
                  "\"web\", \"uid\": \"my-uid\"}, \"spec\": {\"containers\": [{\"name\": "
                  "\"c\", \"image\": \"x\"}]}}",
                  &d));
    assert_string_equal(d->pod->metadata->uid, "my-uid");
}

TEST_CASE(what_is_wrong_is_named_with_file_and_field)
{
    static const struct {
        const char *name, *text, *part;
    } rows[] = {
        {"no name",
         "apiVersion: v1\nkind: Pod\nmetadata: {}\nspec: {containers: [{name: c, image: i}]}\n",
         "metadata.name: invalid pod: name is needed for the pod"},
        {"a list", "apiVersion: v1\nkind: PodList\nitems: []\n",
         "expected apiVersion \"v1\" and kind \"Pod\""},
        {"unknown field",
         "apiVersion: v1\nkind: Pod\nmetadata: {name: w}\nspec: {containers: [{name: c, imagee: "
         "i}]}\n",
         "imagee"},
        {"wrong type",
         "apiVersion: v1\nkind: Pod\nmetadata: {name: w}\nspec:\n  containers:\n  - name: c\n    "
         "image: i\n"
         "    ports: [{containerPort: http}]\n",
         "web.yaml:8"},
        {"validation",
         "apiVersion: v1\nkind: Pod\nmetadata: {name: w}\nspec: {containers: [{name: c, image: i, "
         "ports: "
         "[{containerPort: 70000}]}]}\n",
         "spec.containers[0].ports[0].containerPort: Invalid value: 70000"},
        {"api object",
         "apiVersion: v1\nkind: Pod\nmetadata: {name: w}\nspec: {serviceAccountName: x, "
         "containers: "
         "[{name: c, image: i}]}\n",
         "static pods may not reference serviceaccounts"},
        {"uid with a slash",
         "apiVersion: v1\nkind: Pod\nmetadata: {name: w, uid: ../x}\nspec: {containers: [{name: c, "
         "image: i}]}\n",
         "metadata.uid"},
        {"no spec", "apiVersion: v1\nkind: Pod\nmetadata: {name: w}\n", "spec: Required value"},
        {"no YAML", "a: [\n", "web.yaml"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(pod_object) struct pod_object *object = NULL;
        AUTO(error) struct error *err = read_text(rows[i].text, &object);
        if (!err || !strstr(err->message, rows[i].part) || !strstr(err->message, "web.yaml"))
            fail_msg("%s: %s", rows[i].name, err ? err->message : "no error");
    }
}

TEST_MAIN(TEST(a_manifest_becomes_a_static_pod_of_this_node),
          TEST(the_uid_depends_on_content_alone_and_stays_when_given),
          TEST(what_is_wrong_is_named_with_file_and_field))
