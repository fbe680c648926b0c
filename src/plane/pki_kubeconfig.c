#include "plane/pki_internal.h"

#include "kube/codec_base64.h"
#include "wire/yaml.h"

#define CLUSTER_NAME "kubernetes" /* as kubeadm calls it */

static void write_text(struct doc_writer *writer, const char *key, const char *text)
{
    doc_write_key(writer, key);
    doc_write_text(writer, text);
}

static void write_data(struct doc_writer *writer, const char *key, const char *pem)
{
    AUTO(free) char *text = base64_encode((const uint8_t *)pem, strlen(pem));
    write_text(writer, key, text);
}

/* Begins `<list>: - name: <name>, <part>: {`, which end_entry() closes. */
static void begin_entry(struct doc_writer *writer, const char *list, const char *name,
                        const char *part)
{
    doc_write_key(writer, list);
    writer->ops->begin_array(writer);
    writer->ops->begin_object(writer);
    write_text(writer, "name", name);
    doc_write_key(writer, part);
    writer->ops->begin_object(writer);
}

static void end_entry(struct doc_writer *writer)
{
    writer->ops->end_object(writer);
    writer->ops->end_object(writer);
    writer->ops->end_array(writer);
}

struct error *pki_kubeconfig_text(const struct pki_kubeconfig *config, struct buf *out)
{
    AUTO(free) char *context = xasprintf("%s@" CLUSTER_NAME, config->user);
    struct yaml_writer yaml;
    yaml_writer_init(&yaml, out);
    struct doc_writer *writer = &yaml.base;
    writer->ops->begin_object(writer);
    write_text(writer, "apiVersion", "v1");
    write_text(writer, "kind", "Config");
    begin_entry(writer, "clusters", CLUSTER_NAME, "cluster");
    write_data(writer, "certificate-authority-data", config->ca_pem);
    write_text(writer, "server", config->server_url);
    end_entry(writer);
    begin_entry(writer, "users", config->user, "user");
    write_data(writer, "client-certificate-data", config->certificate_pem);
    write_data(writer, "client-key-data", config->key_pem);
    end_entry(writer);
    begin_entry(writer, "contexts", context, "context");
    write_text(writer, "cluster", CLUSTER_NAME);
    write_text(writer, "user", config->user);
    end_entry(writer);
    write_text(writer, "current-context", context);
    writer->ops->end_object(writer);
    yaml_writer_done(&yaml);
    return buf_error(out, "the kubeconfig");
}
