/*
 * The aggregated form says everything of /api or /apis at once, in JSON, which is what clients ask
 * for in it. It is no message of ours and is written as text.
 */
#include "plane/discovery_internal.h"

#include "wire/accept.h"
#include "wire/json.h"

static const struct discovery_aggregated forms[] = {
    {"v2", "apidiscovery.k8s.io/v2",
     "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"},
    {"v2beta1", "apidiscovery.k8s.io/v2beta1",
     "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"},
};

const struct discovery_aggregated *discovery_find_aggregated(const char *accept)
{
    struct accept wanted;
    accept_parse(accept, &wanted);
    for (size_t c = 0; c < wanted.count; c++) {
        const struct accept_clause *clause = &wanted.clauses[c];
        struct str as = accept_param(clause, "as");
        if (as.len == 0 && (accept_is(clause, "application/json") ||
                            accept_is(clause, "application/vnd.kubernetes.protobuf")))
            return NULL;
        if (!str_eq_c(as, "APIGroupDiscoveryList") || !accept_is(clause, "application/json") ||
            !str_eq_c(accept_param(clause, "g"), "apidiscovery.k8s.io"))
            continue;
        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
            if (str_eq_c(accept_param(clause, "v"), forms[i].version))
                return &forms[i];
        }
    }
    return NULL;
}

static void write_member(struct doc_writer *writer, const char *key, const char *text)
{
    doc_write_key(writer, key);
    doc_write_text(writer, text);
}

static void write_body_kind(struct doc_writer *writer, const struct kube_kind *kind,
                            const char *name)
{
    doc_write_key(writer, "responseKind");
    writer->ops->begin_object(writer);
    write_member(writer, "group", kind->group);
    write_member(writer, "version", kind->version);
    write_member(writer, "kind", name);
    writer->ops->end_object(writer);
}

static void write_verbs(struct doc_writer *writer, unsigned verbs)
{
    doc_write_key(writer, "verbs");
    writer->ops->begin_array(writer);
    const char *verb;
    for (size_t at = 0; (verb = discovery_next_verb(verbs, &at));)
        doc_write_text(writer, verb);
    writer->ops->end_array(writer);
}

static void write_texts(struct doc_writer *writer, const char *key, const char *texts)
{
    if (texts[0] == '\0')
        return;
    struct str rest = str_from(texts);
    struct str text;
    doc_write_key(writer, key);
    writer->ops->begin_array(writer);
    while (str_split_next(&rest, ',', &text))
        writer->ops->string(writer, text);
    writer->ops->end_array(writer);
}

static void write_parts(struct doc_writer *writer, const struct resource *resource)
{
    if (resource->subresource_count == 0)
        return;
    doc_write_key(writer, "subresources");
    writer->ops->begin_array(writer);
    for (size_t i = 0; i < resource->subresource_count; i++) {
        const struct subresource *part = &resource->subresources[i];
        writer->ops->begin_object(writer);
        write_member(writer, "subresource", part->name);
        write_body_kind(writer, part->kind ? part->kind : resource->kind,
                        discovery_body_kind(resource, part));
        write_verbs(writer, part->verbs);
        writer->ops->end_object(writer);
    }
    writer->ops->end_array(writer);
}

static void write_resource(struct doc_writer *writer, const struct resource *resource)
{
    const struct kube_kind *kind = resource->kind;
    writer->ops->begin_object(writer);
    write_member(writer, "resource", kind->resource);
    write_body_kind(writer, kind, kind->kind);
    write_member(writer, "scope", kind->is_namespaced ? "Namespaced" : "Cluster");
    write_member(writer, "singularResource", kind->singular);
    write_verbs(writer, resource->verbs);
    write_texts(writer, "shortNames", kind->short_names);
    write_texts(writer, "categories", kind->categories);
    write_parts(writer, resource);
    writer->ops->end_object(writer);
}

static void write_version(struct doc_writer *writer, const struct kube_kind *of)
{
    size_t rows;
    const struct resource *table = resource_table(&rows);
    writer->ops->begin_object(writer);
    write_member(writer, "version", of->version);
    doc_write_key(writer, "resources");
    writer->ops->begin_array(writer);
    for (size_t i = 0; i < rows; i++) {
        if (discovery_is_of(&table[i], of->group, of->version))
            write_resource(writer, &table[i]);
    }
    writer->ops->end_array(writer);
    write_member(writer, "freshness", "Current");
    writer->ops->end_object(writer);
}

static void write_group(struct doc_writer *writer, const char *group)
{
    size_t rows;
    const struct resource *table = resource_table(&rows);
    writer->ops->begin_object(writer);
    doc_write_key(writer, "metadata");
    writer->ops->begin_object(writer);
    if (group[0] != '\0')
        write_member(writer, "name", group);
    doc_write_key(writer, "creationTimestamp");
    writer->ops->literal(writer, "null");
    writer->ops->end_object(writer);
    doc_write_key(writer, "versions");
    writer->ops->begin_array(writer);
    for (size_t i = 0; i < rows; i++) {
        if (discovery_is_of_group(&table[i], group) && discovery_is_first(table, i, true))
            write_version(writer, table[i].kind);
    }
    writer->ops->end_array(writer);
    writer->ops->end_object(writer);
}

void discovery_write_aggregated(struct buf *out, const struct discovery_aggregated *form,
                                bool is_core)
{
    size_t rows;
    const struct resource *table = resource_table(&rows);
    struct json_writer json;
    json_writer_init(&json, out, false);
    struct doc_writer *writer = &json.base;
    writer->ops->begin_object(writer);
    write_member(writer, "kind", "APIGroupDiscoveryList");
    write_member(writer, "apiVersion", form->api_version);
    doc_write_key(writer, "metadata");
    writer->ops->begin_object(writer);
    writer->ops->end_object(writer);
    doc_write_key(writer, "items");
    writer->ops->begin_array(writer);
    for (size_t i = 0; i < rows; i++) {
        const char *group = table[i].kind->group;
        if ((group[0] == '\0') == is_core && discovery_is_first(table, i, false))
            write_group(writer, group);
    }
    writer->ops->end_array(writer);
    writer->ops->end_object(writer);
}
