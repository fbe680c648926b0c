/*
 * Lists and collections. A page is collected first, as rows, so that the list's metadata (where to
 * go on, how many remain) is known before its first item is written; then each item is decoded,
 * written and forgotten, so that a long list costs its text and not its objects.
 *
 * A list is always of the newest state. One that is continued goes on behind the last key at the
 * newest state, too, but says the revision of its first page: a watch from there sees all that
 * happened meanwhile.
 */
#include "plane/rest_internal.h"

#include "kube/selector.h"
#include "plane/table.h"

#include "runtime.pb-c.h"

#define SCRATCH_BLOCK_BYTES (64 * KiB)

/* --- selecting --- */

static Meta__Status *bad_selector(const struct rest_env *env, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    return failure_bad_request(env->arena, "%s", err->message);
}

Meta__Status *rest_select(const struct rest_env *env, const struct plane_request *request,
                          struct rest_selection *ret)
{
    const char *labels = http_target_param(request->target, "labelSelector");
    const char *fields = http_target_param(request->target, "fieldSelector");
    *ret =
        (struct rest_selection){.resource = request->resource, .namespace_ = request->namespace_};
    struct error *err = label_selector_parse(labels ? labels : "", env->arena, &ret->labels);
    if (err)
        err = error_wrap(err, "unable to parse labelSelector");
    if (!err)
        err = field_selector_parse(fields ? fields : "", env->arena, &ret->fields);
    if (!err)
        err = field_selector_check(ret->fields, request->resource->kind);
    if (err)
        return bad_selector(env, err);
    ret->is_all = label_selector_is_empty(ret->labels) && field_selector_is_empty(ret->fields) &&
                  !resource_is_measured(request->resource);
    ret->exact_name = field_selector_exact(ret->fields, "metadata.name");
    return NULL;
}

bool rest_selects_key(const struct rest_selection *selection, const struct store_key *key)
{
    if (selection->namespace_ && strcmp(selection->namespace_, key->namespace_) != 0)
        return false;
    return !selection->exact_name || strcmp(selection->exact_name, key->name) == 0;
}

bool rest_selects(const struct rest_selection *selection, const ProtobufCMessage *object)
{
    return selection->is_all ||
           (label_selector_matches(selection->labels, kube_object_meta(object)) &&
            field_selector_matches_object(selection->fields, selection->resource->kind, object));
}

/* --- a page --- */

struct page {
    const struct rest_env *env;
    const struct rest_selection *selection;
    struct store_item *items; /* in the request's arena */
    size_t count;
    size_t capacity;
    size_t limit;  /* 0: none */
    bool has_more; /* a further object would have been selected */
};

static struct error *collect(void *ctx, const struct store_item *item)
{
    struct page *page = ctx;
    struct arena *arena = page->env->arena;
    if (!rest_selects_key(page->selection, &item->key))
        return NULL;
    if (!page->selection->is_all) {
        AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
        ProtobufCMessage *object = NULL;
        struct error *err =
            rest_decode_shown(page->env, page->selection->resource, item, scratch, &object);
        if (err)
            return err;
        if (!object || !rest_selects(page->selection, object))
            return NULL;
    }
    if (page->limit > 0 && page->count == page->limit) {
        page->has_more = true;
        return error_new(ERROR_CANCELLED, "the page is full");
    }
    if (page->count == page->capacity) {
        size_t capacity = page->capacity ? page->capacity * 2 : 64;
        struct store_item *items = arena_alloc(arena, capacity * sizeof(*items));
        if (page->count > 0)
            memcpy(items, page->items, page->count * sizeof(*items));
        page->items = items;
        page->capacity = capacity;
    }
    page->items[page->count++] = (struct store_item){
        .key = {.resource = page->selection->resource->key,
                .namespace_ = arena_strdup(arena, item->key.namespace_),
                .name = arena_strdup(arena, item->key.name)},
        .revision = item->revision,
        .bytes = {.ptr = arena_memdup(arena, item->bytes.ptr, item->bytes.len),
                  .len = item->bytes.len},
    };
    return NULL;
}

static Meta__Status *collect_page(struct page *page, const struct store_range *range)
{
    struct error *err = store_list(page->env->store, range, collect, page);
    if (error_is(err, ERROR_CANCELLED)) {
        error_free(err);
        err = NULL;
    }
    return err ? failure_from_error(page->env->arena, err) : NULL;
}

/* --- where to go on --- */

/* "<revision>/<namespace>/<name>": opaque to clients, who send it back as it is. */
static Meta__Status *parse_continue(const struct rest_env *env, const char *text,
                                    struct store_range *range, int64_t *ret_revision)
{
    const char *slash = strchr(text, '/');
    const char *second = slash ? strchr(slash + 1, '/') : NULL;
    const char *revision = slash ? arena_strndup(env->arena, text, (size_t)(slash - text)) : "";
    if (!second || !parse_i64(revision, 1, store_revision(env->store), ret_revision))
        return failure_bad_request(env->arena, "continue key is not valid: %s", text);
    range->after_namespace = arena_strndup(env->arena, slash + 1, (size_t)(second - slash - 1));
    range->after_name = second + 1;
    return NULL;
}

static Meta__Status *parse_limit(const struct rest_env *env, const char *text, size_t *ret)
{
    int64_t limit = 0;
    if (text && *text && !parse_i64(text, 0, INT32_MAX, &limit))
        return failure_bad_request(env->arena, "limit \"%s\" is no number of objects", text);
    *ret = (size_t)limit;
    return NULL;
}

/* A state that is not the newest one cannot be had any more. */
static Meta__Status *check_version(const struct rest_env *env, const struct plane_request *request)
{
    const char *match = http_target_param(request->target, "resourceVersionMatch");
    int64_t version = 0;
    Meta__Status *failure = rest_read_version(env, request, &version);
    if (!failure && text_eq(match, "Exact") && version != store_revision(env->store))
        failure =
            failure_expired(env->arena, "The resourceVersion for the provided list is too old.");
    return failure;
}

/* The place of a page in the collection. */
struct place {
    struct store_range range;
    int64_t revision; /* of the first page */
};

static Meta__Status *find_place(const struct rest_env *env, const struct plane_request *request,
                                struct place *ret)
{
    *ret = (struct place){
        .range = {.resource = request->resource->key, .namespace_ = request->namespace_},
        .revision = store_revision(env->store),
    };
    const char *continue_ = http_target_param(request->target, "continue");
    const char *version = http_target_param(request->target, "resourceVersion");
    if (!continue_ || !*continue_)
        return check_version(env, request);
    if (version && *version && strcmp(version, "0") != 0)
        return failure_bad_request(
            env->arena, "specifying resource version is not allowed when using continue");
    return parse_continue(env, continue_, &ret->range, &ret->revision);
}

/* Chooses what a list shows and a deletion of a collection takes. */
static Meta__Status *find_page(const struct plane_request *request, struct page *page,
                               struct rest_selection *selection, struct place *ret_place)
{
    const struct rest_env *env = page->env;
    page->selection = selection;
    Meta__Status *failure = rest_select(env, request, selection);
    if (!failure)
        failure = parse_limit(env, http_target_param(request->target, "limit"), &page->limit);
    if (!failure)
        failure = find_place(env, request, ret_place);
    return failure ? failure : collect_page(page, &ret_place->range);
}

static Meta__Status *make_list_meta(const struct page *page, const struct store_range *range,
                                    int64_t revision, Meta__ListMeta *meta)
{
    struct arena *arena = page->env->arena;
    meta->resource_version = arena_printf(arena, "%lld", (long long)revision);
    if (!page->has_more)
        return NULL;
    const struct store_key *last = &page->items[page->count - 1].key;
    meta->continue_ =
        arena_printf(arena, "%lld/%s/%s", (long long)revision, last->namespace_, last->name);
    if (!page->selection->is_all)
        return NULL; /* as upstream: selectors make the rest unknown */
    const struct store_range rest = {.resource = range->resource,
                                     .namespace_ = range->namespace_,
                                     .after_namespace = last->namespace_,
                                     .after_name = last->name};
    size_t remaining = 0;
    struct error *err = store_count(page->env->store, &rest, &remaining);
    if (err)
        return failure_from_error(arena, err);
    meta->has_remaining_item_count = true;
    meta->remaining_item_count = (int64_t)remaining;
    return NULL;
}

/* --- writing a page --- */

struct list_out {
    const struct page *page;
    const struct negotiated *how;
    const struct resource *resource;
    const Meta__ListMeta *meta;
    struct buf *out;
};

typedef void write_item(void *ctx, const ProtobufCMessage *object);

/* Decodes the page's objects one after the other; only one is in memory at a time. */
static struct error *for_each_item(const struct list_out *list, write_item *write, void *ctx)
{
    for (size_t i = 0; i < list->page->count; i++) {
        AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
        ProtobufCMessage *object = NULL;
        struct error *err = rest_decode_shown(list->page->env, list->resource,
                                              &list->page->items[i], scratch, &object);
        if (err)
            return err;
        write(ctx, object);
    }
    return NULL;
}

static Meta__PartialObjectMetadata partial_of(const ProtobufCMessage *object)
{
    Meta__PartialObjectMetadata partial = META__PARTIAL_OBJECT_METADATA__INIT;
    partial.metadata = kube_object_meta(object);
    return partial;
}

struct json_items {
    const struct list_out *list;
    bool is_first;
};

static void write_json_item(void *ctx, const ProtobufCMessage *object)
{
    struct json_items *items = ctx;
    struct buf *out = items->list->out;
    if (!items->is_first)
        buf_add_char(out, ',');
    items->is_first = false;
    if (items->list->how->form == REPLY_PARTIAL) {
        const Meta__PartialObjectMetadata partial = partial_of(object);
        kube_encode_json(&partial.base, NULL, out);
    } else {
        kube_encode_json(object, NULL, out);
    }
}

static struct error *write_json(const struct list_out *list, const struct kube_kind *kind)
{
    struct json_items items = {.list = list, .is_first = true};
    buf_printf(list->out, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":", kind->kind,
               kind->api_version);
    kube_encode_json(&list->meta->base, NULL, list->out);
    buf_add_text(list->out, ",\"items\":[");
    struct error *err = for_each_item(list, write_json_item, &items);
    buf_add_text(list->out, "]}\n");
    return err;
}

/* A field of type message or bytes: its number, its length, its content. */
static void add_field(struct buf *out, unsigned number, struct str content)
{
    buf_add_char(out, (char)(number << 3 | 2));
    size_t len = content.len;
    for (; len >= 0x80; len >>= 7)
        buf_add_char(out, (char)(len | 0x80));
    buf_add_char(out, (char)len);
    buf_add_str(out, content);
}

struct protobuf_items {
    const struct list_out *list;
    struct buf raw; /* the list message */
    struct buf one;
};

static void write_protobuf_item(void *ctx, const ProtobufCMessage *object)
{
    struct protobuf_items *items = ctx;
    buf_clear(&items->one);
    if (items->list->how->form == REPLY_PARTIAL) {
        const Meta__PartialObjectMetadata partial = partial_of(object);
        kube_encode_protobuf(&partial.base, &items->one);
    } else {
        kube_encode_protobuf(object, &items->one);
    }
    add_field(&items->raw, 2, buf_str(&items->one)); /* items, in every list of Kubernetes */
}

/* The envelope around a list that was put together from the encoded items. */
static struct error *write_protobuf(const struct list_out *list, const struct kube_kind *kind)
{
    struct protobuf_items items = {.list = list};
    buf_init(&items.raw, REST_REPLY_MAX_BYTES);
    buf_init(&items.one, 2 * REST_OBJECT_MAX_BYTES);
    kube_encode_protobuf(&list->meta->base, &items.one);
    add_field(&items.raw, 1, buf_str(&items.one));
    struct error *err = for_each_item(list, write_protobuf_item, &items);
    if (!err)
        err = buf_error(&items.raw, "the list");
    if (!err) {
        Runtime__TypeMeta type = RUNTIME__TYPE_META__INIT;
        buf_clear(&items.one);
        type.api_version = (char *)(uintptr_t)kind->api_version;
        type.kind = (char *)(uintptr_t)kind->kind;
        kube_encode_protobuf(&type.base, &items.one);
        buf_add(list->out, "k8s\0", 4);
        add_field(list->out, 1, buf_str(&items.one));
        add_field(list->out, 2, buf_str(&items.raw));
        add_field(list->out, 3, str_from("")); /* contentEncoding and contentType: always there */
        add_field(list->out, 4, str_from(""));
    }
    buf_done(&items.raw);
    buf_done(&items.one);
    return err;
}

static void write_table_item(void *ctx, const ProtobufCMessage *object)
{
    table_add_row(ctx, object);
}

static struct error *write_table(const struct list_out *list)
{
    struct table_writer *table =
        table_begin(list->resource, list->meta, true, list->how->include,
                    list->page->env->now_wall_ns, list->page->env->arena, list->out);
    struct error *err = for_each_item(list, write_table_item, table);
    table_end(table);
    return err;
}

/* YAML and indented JSON are for people: the whole text is made once more. */
static struct error *write_pretty(const struct list_out *list, const struct kube_kind *kind)
{
    struct arena *arena = list->page->env->arena;
    AUTO(buf) struct buf compact;
    buf_init(&compact, REST_REPLY_MAX_BYTES);
    const struct list_out inner = {.page = list->page,
                                   .how = list->how,
                                   .resource = list->resource,
                                   .meta = list->meta,
                                   .out = &compact};
    struct error *err = write_json(&inner, kind);
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    const struct kube_kind *read_kind = NULL;
    ProtobufCMessage *message = NULL;
    if (!err)
        err = buf_error(&compact, "the list");
    if (!err)
        err = kube_decode_any(buf_str(&compact), KUBE_JSON, &options, arena, &read_kind, &message);
    if (err)
        return err;
    const struct kube_type_meta type = kube_kind_meta(kind);
    if (list->how->encoding == KUBE_YAML)
        kube_encode_yaml(message, &type, list->out);
    else
        kube_encode_json_pretty(message, &type, list->out);
    return NULL;
}

static const struct kube_kind *list_kind(const struct list_out *list)
{
    if (list->how->form == REPLY_PARTIAL)
        return kube_kind_find("meta.k8s.io/v1", "PartialObjectMetadataList");
    return kube_kind_list(list->resource->kind);
}

static Meta__Status *write_page(const struct page *page, const Meta__ListMeta *meta,
                                const struct plane_request *request, struct plane_reply *reply)
{
    struct negotiated how;
    struct arena *arena = page->env->arena;
    Meta__Status *failure =
        negotiate(request->accept, request->target, request->user_agent, arena, &how);
    if (failure)
        return failure;
    const struct list_out list = {.page = page,
                                  .how = &how,
                                  .resource = request->resource,
                                  .meta = meta,
                                  .out = &reply->body};
    const struct kube_kind *kind = list_kind(&list);
    struct error *err = NULL;
    if (how.form == REPLY_TABLE)
        err = write_table(&list);
    else if (how.encoding == KUBE_PROTOBUF)
        err = write_protobuf(&list, kind);
    else if (how.encoding == KUBE_YAML || how.is_pretty)
        err = write_pretty(&list, kind);
    else
        err = write_json(&list, kind);
    if (!err)
        err = buf_error(&reply->body, "the list");
    reply->code = 200;
    reply->content_type = how.content_type;
    return err ? failure_from_error(arena, err) : NULL;
}

Meta__Status *rest_list(const struct rest_env *env, const struct plane_request *request,
                        struct plane_reply *reply)
{
    struct rest_selection selection;
    struct page page = {.env = env};
    struct place place;
    Meta__ListMeta meta = META__LIST_META__INIT;
    Meta__Status *failure = find_page(request, &page, &selection, &place);
    if (!failure)
        failure = make_list_meta(&page, &place.range, place.revision, &meta);
    return failure ? failure : write_page(&page, &meta, request, reply);
}

/* Answered with what was there. A limit is one to the deletion, too. */
Meta__Status *rest_delete_collection(const struct rest_env *env,
                                     const struct plane_request *request, struct plane_reply *reply)
{
    struct rest_selection selection;
    struct page page = {.env = env};
    struct place place;
    struct rest_delete_options options;
    Meta__ListMeta meta = META__LIST_META__INIT;
    const struct rest_write write = rest_write_of(env, request);
    Meta__Status *failure = rest_read_delete_options(env, request, &options);
    if (!failure)
        failure = find_page(request, &page, &selection, &place);
    if (!failure)
        failure = make_list_meta(&page, &place.range, place.revision, &meta);
    for (size_t i = 0; !failure && i < page.count; i++) {
        struct rest_stored stored;
        bool is_gone = false;
        const struct store_key *key = &page.items[i].key;
        failure = rest_load(env, request->resource, key->namespace_, key->name, &stored);
        if (!failure)
            failure = rest_do_delete(&write, &stored, &options, &is_gone);
    }
    return failure ? failure : write_page(&page, &meta, request, reply);
}
