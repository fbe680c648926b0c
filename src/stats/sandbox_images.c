#include "stats/sandbox_images.h"

#include "base/hash.h"

#include <jansson.h>

#define MAX_CALLS 8
/* A reply holds the sandbox's whole OCI specification. */
#define INFO_MAX_BYTES MiB

enum entry_state { ENTRY_QUEUED, ENTRY_ASKING, ENTRY_KNOWN, ENTRY_FAILED };

struct entry {
    struct sandbox_images *images;
    enum entry_state state;
    bool is_wanted;
    struct runtime_call *call; /* ASKING */
    char *image;               /* KNOWN; owned */
    UT_hash_handle hh;
    char id[];
};

struct sandbox_images {
    struct pod_runtime *runtime;
    void (*on_settled)(void *ctx);
    void *ctx;
    struct entry *entries; /* hash head by id */
    size_t n_queued, n_asking;
};

struct sandbox_images *sandbox_images_new(struct pod_runtime *runtime,
                                          void (*on_settled)(void *ctx), void *ctx)
{
    struct sandbox_images *images = xcalloc(1, sizeof(*images));
    images->runtime = runtime;
    images->on_settled = on_settled;
    images->ctx = ctx;
    return images;
}

static void set_state(struct entry *entry, enum entry_state state)
{
    struct sandbox_images *images = entry->images;
    images->n_queued -= entry->state == ENTRY_QUEUED;
    images->n_asking -= entry->state == ENTRY_ASKING;
    images->n_queued += state == ENTRY_QUEUED;
    images->n_asking += state == ENTRY_ASKING;
    entry->state = state;
}

static void entry_free(struct entry *entry)
{
    struct sandbox_images *images = entry->images;
    if (entry->call)
        runtime_call_cancel(images->runtime, TAKE(entry->call));
    set_state(entry, ENTRY_FAILED);
    HASH_DEL(images->entries, entry);
    free(entry->image);
    free(entry);
}

void sandbox_images_free(struct sandbox_images *images)
{
    if (!images)
        return;
    struct entry *entry, *next;
    HASH_ITER(hh, images->entries, entry, next)
        entry_free(entry);
    free(images);
}

static struct entry *find(const struct sandbox_images *images, const char *id)
{
    struct entry *entry;
    HASH_FIND_STR(images->entries, id, entry);
    return entry;
}

/* --- asking --- */

static void ask_queued(struct sandbox_images *images);

char *sandbox_images_parse(const char *info_json)
{
    size_t len = strnlen(info_json, INFO_MAX_BYTES + 1);
    if (len > INFO_MAX_BYTES)
        return NULL;
    json_t *info = json_loadb(info_json, len, 0, NULL);
    const char *image = json_string_value(json_object_get(info, "image"));
    char *copy = image && image[0] != '\0' ? xstrdup(image) : NULL;
    json_decref(info);
    return copy;
}

static char *image_of(const Cri__PodSandboxStatusResponse *status)
{
    for (size_t i = 0; i < status->n_info; i++) {
        if (text_eq(status->info[i]->key, "info") && status->info[i]->value)
            return sandbox_images_parse(status->info[i]->value);
    }
    return NULL;
}

static void on_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct entry *entry = ctx;
    struct sandbox_images *images = entry->images;
    error_ignore(err_owned, "its label stays blank, and it is asked again with the next records");
    entry->call = NULL;
    if (reply)
        entry->image = image_of((const Cri__PodSandboxStatusResponse *)(const void *)reply);
    /* A runtime that answers but names no image never will. */
    set_state(entry, reply ? ENTRY_KNOWN : ENTRY_FAILED);
    ask_queued(images);
    if (sandbox_images_is_settled(images))
        images->on_settled(images->ctx);
}

static void ask(struct entry *entry)
{
    Cri__PodSandboxStatusRequest request = CRI__POD_SANDBOX_STATUS_REQUEST__INIT;
    request.pod_sandbox_id = entry->id;
    request.verbose = true;
    set_state(entry, ENTRY_ASKING);
    entry->call = runtime_call_start(entry->images->runtime, RUNTIME_POD_SANDBOX_STATUS,
                                     &request.base, 0, on_reply, entry);
}

static void ask_queued(struct sandbox_images *images)
{
    struct entry *entry, *next;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash has unlinked what was freed, unseen */
    HASH_ITER(hh, images->entries, entry, next) {
        if (images->n_asking >= MAX_CALLS || images->n_queued == 0)
            return;
        if (entry->state == ENTRY_QUEUED)
            ask(entry);
    }
}

/* --- the door --- */

void sandbox_images_want(struct sandbox_images *images, const char *id)
{
    if (!images->runtime)
        return;
    struct entry *entry = find(images, id);
    if (!entry) {
        size_t len = strlen(id);
        entry = xcalloc(1, sizeof(*entry) + len + 1);
        entry->images = images;
        entry->state = ENTRY_FAILED;
        memcpy(entry->id, id, len);
        HASH_ADD_KEYPTR(hh, images->entries, entry->id, len, entry);
    }
    entry->is_wanted = true;
    if (entry->state != ENTRY_FAILED)
        return;
    set_state(entry, ENTRY_QUEUED);
    ask_queued(images);
}

void sandbox_images_forget_unwanted(struct sandbox_images *images)
{
    struct entry *entry, *next;
    HASH_ITER(hh, images->entries, entry, next) {
        if (!entry->is_wanted)
            entry_free(entry);
        else
            entry->is_wanted = false;
    }
    ask_queued(images);
}

const char *sandbox_images_get(const struct sandbox_images *images, const char *id)
{
    const struct entry *entry = find(images, id);
    return entry && entry->image ? entry->image : "";
}

bool sandbox_images_is_settled(const struct sandbox_images *images)
{
    return images->n_queued == 0 && images->n_asking == 0;
}
