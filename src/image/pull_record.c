/*
 * The files of pull records, byte for byte as a kubelet writes them: one line of JSON with the
 * fields in a fixed order, the repositories in that of their bytes, and what HTML could mistake
 * escaped as Go does.
 *
 * Upstream: staging/src/k8s.io/kubelet/config/v1beta1, pkg/kubelet/images/pullmanager.
 */
#include "image/pull_record.h"

#include "base/time.h"
#include "wire/json.h"

#include <openssl/evp.h>

#define GROUP "kubelet.config.k8s.io/"
#define VERSION "v1beta1"
#define OLD_VERSION "v1alpha1"
#define INTENT_KIND "ImagePullIntent"
#define RECORD_KIND "ImagePulledRecord"
#define CREDENTIAL_MAX_BYTES (2 * MiB) /* a docker configuration's cap, with every byte escaped */

static void hex_sha256(struct str bytes, char ret[static PULL_RECORD_HASH_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t len = 0;
    int is_done = EVP_Q_digest(NULL, "SHA256", NULL, bytes.ptr, bytes.len, digest, &len);
    ASSERT(is_done && 2 * len + 1 == PULL_RECORD_HASH_SIZE);
    str_hex(digest, len, ret);
}

void pull_record_name(const char *key, char ret[static PULL_RECORD_NAME_SIZE])
{
    static const char prefix[] = "sha256-";
    memcpy(ret, prefix, sizeof(prefix));
    hex_sha256(str_from(key), ret + sizeof(prefix) - 1);
}

/* --- writing --- */

/* Outside strings JSON has none of these. */
static void add_escaped(struct buf *out, const struct buf *json)
{
    for (size_t i = 0; i < json->len; i++) {
        char c = json->data[i];
        if (c == '<' || c == '>' || c == '&')
            buf_printf(out, "\\u%04x", (unsigned)c);
        else
            buf_add_char(out, c);
    }
}

static void write_text(struct doc_writer *writer, const char *key, const char *text)
{
    doc_write_key(writer, key);
    doc_write_text(writer, text);
}

static void write_type(struct doc_writer *writer, const char *kind)
{
    write_text(writer, "kind", kind);
    write_text(writer, "apiVersion", GROUP VERSION);
}

static void write_owner(struct doc_writer *writer, const char *uid, const char *namespace_,
                        const char *name)
{
    write_text(writer, "uid", uid);
    write_text(writer, "namespace", namespace_);
    write_text(writer, "name", name);
}

static void write_access(struct doc_writer *writer, const struct pull_access *access)
{
    writer->ops->begin_object(writer);
    if (access->n_secrets > 0) {
        doc_write_key(writer, "kubernetesSecrets");
        writer->ops->begin_array(writer);
        for (size_t i = 0; i < access->n_secrets; i++) {
            const struct pull_secret *secret = &access->secrets[i];
            writer->ops->begin_object(writer);
            write_owner(writer, secret->uid, secret->namespace_, secret->name);
            write_text(writer, "credentialHash", secret->hash);
            writer->ops->end_object(writer);
        }
        writer->ops->end_array(writer);
    }
    if (access->n_accounts > 0) {
        doc_write_key(writer, "kubernetesServiceAccounts");
        writer->ops->begin_array(writer);
        for (size_t i = 0; i < access->n_accounts; i++) {
            const struct pull_account *account = &access->accounts[i];
            writer->ops->begin_object(writer);
            write_owner(writer, account->uid, account->namespace_, account->name);
            writer->ops->end_object(writer);
        }
        writer->ops->end_array(writer);
    }
    if (access->all_pods) {
        doc_write_key(writer, "nodePodsAccessible");
        doc_write_bool(writer, true);
    }
    writer->ops->end_object(writer);
}

static int by_repository(const void *a, const void *b)
{
    const struct pull_mapping *const *left = a, *const *right = b;
    return strcmp((*left)->repository, (*right)->repository);
}

static void write_mappings(struct doc_writer *writer, const struct pull_record *record)
{
    const struct pull_mapping **sorted =
        xcalloc(record->n_mappings, sizeof(const struct pull_mapping *));
    for (size_t i = 0; i < record->n_mappings; i++)
        sorted[i] = &record->mappings[i];
    qsort(sorted, record->n_mappings, sizeof(const struct pull_mapping *), by_repository);
    doc_write_key(writer, "credentialMapping");
    writer->ops->begin_object(writer);
    for (size_t i = 0; i < record->n_mappings; i++) {
        doc_write_key(writer, sorted[i]->repository);
        write_access(writer, &sorted[i]->access);
    }
    writer->ops->end_object(writer);
    free(sorted);
}

/* @json as a file. */
static struct error *finish(const struct buf *json, const char *what, struct buf *out)
{
    struct error *err = buf_error(json, what);
    if (err)
        return err;
    add_escaped(out, json);
    buf_add_char(out, '\n');
    return buf_error(out, what);
}

struct error *pull_record_encode(const struct pull_record *record, struct buf *out)
{
    char time[TIME_TEXT_SIZE];
    AUTO(buf) struct buf json;
    buf_init(&json, PULL_RECORD_MAX_BYTES);
    struct json_writer writer;
    json_writer_init(&writer, &json, false);
    writer.base.ops->begin_object(&writer.base);
    write_type(&writer.base, RECORD_KIND);
    write_text(&writer.base, "lastUpdatedTime", time_format_parts(record->updated_s, 0, 0, time));
    write_text(&writer.base, "imageRef", record->image_ref);
    if (record->n_mappings > 0)
        write_mappings(&writer.base, record);
    writer.base.ops->end_object(&writer.base);
    return finish(&json, "the record of a pulled image", out);
}

struct error *pull_intent_encode(const char *image, struct buf *out)
{
    AUTO(buf) struct buf json;
    buf_init(&json, PULL_RECORD_MAX_BYTES);
    struct json_writer writer;
    json_writer_init(&writer, &json, false);
    writer.base.ops->begin_object(&writer.base);
    write_type(&writer.base, INTENT_KIND);
    write_text(&writer.base, "image", image);
    writer.base.ops->end_object(&writer.base);
    return finish(&json, "the intent to pull an image", out);
}

static void write_login_field(struct doc_writer *writer, const char *key, const char *text)
{
    if (*text)
        write_text(writer, key, text);
}

/* What a secret never fills (auth, serveraddress and the tokens) is empty and so left out. */
void pull_credential_hash(const char *username, const char *password, const char *email,
                          char ret[static PULL_RECORD_HASH_SIZE])
{
    AUTO(buf) struct buf json, escaped;
    buf_init(&json, CREDENTIAL_MAX_BYTES * 6);
    buf_init(&escaped, CREDENTIAL_MAX_BYTES * 6);
    struct json_writer writer;
    json_writer_init(&writer, &json, false);
    writer.base.ops->begin_object(&writer.base);
    write_login_field(&writer.base, "username", username);
    write_login_field(&writer.base, "password", password);
    write_login_field(&writer.base, "email", email);
    writer.base.ops->end_object(&writer.base);
    add_escaped(&escaped, &json);
    hex_sha256(buf_str(&escaped), ret);
}

/* --- reading --- */

/* A field of an object; every object has a table of those it may have. */
struct field {
    const char *name;
    struct error *(*read)(const struct doc_node *node, struct arena *arena, void *ret);
    void *ret;
};

static struct error *expected(const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "expected %s", what);
}

static struct error *read_fields(const struct doc_node *node, const struct field *fields,
                                 size_t count, struct arena *arena)
{
    if (node->kind == DOC_NULL)
        return NULL;
    if (node->kind != DOC_OBJECT)
        return expected("an object");
    for (size_t i = 0; i < node->object.count; i++) {
        const struct doc_member *member = &node->object.members[i];
        const struct field *field = NULL;
        for (size_t k = 0; k < count; k++) {
            if (str_eq_c(member->key, fields[k].name))
                field = &fields[k];
        }
        if (!field)
            return error_new(ERROR_INVALID_ARGUMENT, "unknown field \"%.*s\"",
                             STR_ARG(member->key));
        struct error *err = field->read(member->value, arena, field->ret);
        if (err)
            return error_wrap(err, "%s", field->name);
    }
    return NULL;
}

static struct error *read_text(const struct doc_node *node, struct arena *arena, void *ret)
{
    if (node->kind != DOC_STRING)
        return node->kind == DOC_NULL ? NULL : expected("a string");
    *(const char **)ret = arena_strdup(arena, node->string.ptr);
    return NULL;
}

static struct error *read_bool(const struct doc_node *node, struct arena *arena, void *ret)
{
    (void)arena;
    if (node->kind != DOC_BOOL)
        return node->kind == DOC_NULL ? NULL : expected("true or false");
    *(bool *)ret = node->boolean;
    return NULL;
}

static struct error *read_time(const struct doc_node *node, struct arena *arena, void *ret)
{
    (void)arena;
    int32_t nanos;
    if (node->kind != DOC_STRING)
        return node->kind == DOC_NULL ? NULL : expected("a time");
    return time_parse_parts(node->string, ret, &nanos);
}

static struct error *read_secrets(const struct doc_node *node, struct arena *arena, void *ret)
{
    struct pull_access *access = ret;
    if (node->kind != DOC_ARRAY)
        return node->kind == DOC_NULL ? NULL : expected("a list");
    struct pull_secret *secrets = arena_calloc(arena, node->array.count + 1, sizeof(*secrets));
    for (size_t i = 0; i < node->array.count; i++) {
        struct pull_secret *secret = &secrets[i];
        *secret = (struct pull_secret){.uid = "", .namespace_ = "", .name = "", .hash = ""};
        const struct field fields[] = {{"uid", read_text, &secret->uid},
                                       {"namespace", read_text, &secret->namespace_},
                                       {"name", read_text, &secret->name},
                                       {"credentialHash", read_text, &secret->hash}};
        struct error *err = read_fields(node->array.items[i], fields, ARRAY_SIZE(fields), arena);
        if (err)
            return error_wrap(err, "[%zu]", i);
    }
    access->secrets = secrets;
    access->n_secrets = node->array.count;
    return NULL;
}

static struct error *read_accounts(const struct doc_node *node, struct arena *arena, void *ret)
{
    struct pull_access *access = ret;
    if (node->kind != DOC_ARRAY)
        return node->kind == DOC_NULL ? NULL : expected("a list");
    struct pull_account *accounts = arena_calloc(arena, node->array.count + 1, sizeof(*accounts));
    for (size_t i = 0; i < node->array.count; i++) {
        struct pull_account *account = &accounts[i];
        *account = (struct pull_account){.uid = "", .namespace_ = "", .name = ""};
        const struct field fields[] = {{"uid", read_text, &account->uid},
                                       {"namespace", read_text, &account->namespace_},
                                       {"name", read_text, &account->name}};
        struct error *err = read_fields(node->array.items[i], fields, ARRAY_SIZE(fields), arena);
        if (err)
            return error_wrap(err, "[%zu]", i);
    }
    access->accounts = accounts;
    access->n_accounts = node->array.count;
    return NULL;
}

static struct error *read_mappings(const struct doc_node *node, struct arena *arena, void *ret)
{
    struct pull_record *record = ret;
    if (node->kind != DOC_OBJECT)
        return node->kind == DOC_NULL ? NULL : expected("an object");
    struct pull_mapping *mappings = arena_calloc(arena, node->object.count + 1, sizeof(*mappings));
    for (size_t i = 0; i < node->object.count; i++) {
        const struct doc_member *member = &node->object.members[i];
        struct pull_access *access = &mappings[i].access;
        mappings[i].repository = arena_strndup(arena, member->key.ptr, member->key.len);
        const struct field fields[] = {{"kubernetesSecrets", read_secrets, access},
                                       {"kubernetesServiceAccounts", read_accounts, access},
                                       {"nodePodsAccessible", read_bool, &access->all_pods}};
        struct error *err = read_fields(member->value, fields, ARRAY_SIZE(fields), arena);
        if (err)
            return error_wrap(err, "%s", mappings[i].repository);
    }
    record->mappings = mappings;
    record->n_mappings = node->object.count;
    return NULL;
}

/* The whole of a file; @fields has room for kind and apiVersion in front. */
static struct error *read_file(struct str text, const char *kind, struct field *fields,
                               size_t count, struct arena *arena, bool *ret_is_old)
{
    static const struct doc_parse_options options = {.max_bytes = PULL_RECORD_MAX_BYTES,
                                                     .reject_duplicates = true};
    AUTO(arena) struct arena *scratch = arena_new(0);
    const struct doc_node *node;
    struct error *err = json_parse(text, &options, scratch, &node);
    if (err)
        return err;
    const char *found_kind = "", *version = "";
    fields[0] = (struct field){"kind", read_text, &found_kind};
    fields[1] = (struct field){"apiVersion", read_text, &version};
    if (node->kind != DOC_OBJECT)
        return expected("an object");
    err = read_fields(node, fields, count, arena);
    if (err)
        return err;
    *ret_is_old = text_eq(version, GROUP OLD_VERSION);
    if (!text_eq(found_kind, kind) || (!*ret_is_old && !text_eq(version, GROUP VERSION)))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "expected %s of " GROUP VERSION " or " OLD_VERSION
                         ", found kind \"%s\" and apiVersion \"%s\"",
                         kind, found_kind, version);
    return NULL;
}

struct error *pull_record_decode(struct str text, struct arena *arena, struct pull_record *ret,
                                 bool *ret_is_old)
{
    struct pull_record record = {.image_ref = "", .updated_s = TIME_GO_ZERO_SEC};
    struct field fields[] = {{0},
                             {0},
                             {"lastUpdatedTime", read_time, &record.updated_s},
                             {"imageRef", read_text, &record.image_ref},
                             {"credentialMapping", read_mappings, &record}};
    struct error *err = read_file(text, RECORD_KIND, fields, ARRAY_SIZE(fields), arena, ret_is_old);
    if (!err)
        *ret = record;
    return err;
}

struct error *pull_intent_decode(struct str text, struct arena *arena, const char **ret_image,
                                 bool *ret_is_old)
{
    const char *image = "";
    struct field fields[] = {{0}, {0}, {"image", read_text, &image}};
    struct error *err = read_file(text, INTENT_KIND, fields, ARRAY_SIZE(fields), arena, ret_is_old);
    if (!err)
        *ret_image = image;
    return err;
}
