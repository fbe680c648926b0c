#include "plane/object_meta.h"

#include <sys/random.h>

/* Upstream's (apiserver storage/names): names stay within 63 bytes, letters avoid words. */
#define GENERATED_LETTERS "bcdfghjklmnpqrstvwxz2456789"
#define GENERATED_COUNT 5
#define GENERATED_PREFIX_MAX (63 - GENERATED_COUNT)
#define GENERATED_ATTEMPTS 8 /* maxNameGenerationCreateAttempts */

static void fill_random(void *bytes, size_t size)
{
    if (getrandom(bytes, size, 0) != (ssize_t)size)
        base_die("the kernel gives no random numbers");
}

char *object_uid_new(struct arena *arena)
{
    unsigned char b[16];
    fill_random(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* version 4 */
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80); /* RFC 9562's variant */
    return arena_printf(
        arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
        b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

char *object_name_generate(const char *prefix, struct arena *arena)
{
    char suffix[GENERATED_COUNT + 1] = "";
    for (size_t i = 0; i < GENERATED_COUNT; i++) {
        unsigned char byte;
        do
            fill_random(&byte, sizeof(byte));
        while (byte >= 256 / (sizeof(GENERATED_LETTERS) - 1) * (sizeof(GENERATED_LETTERS) - 1));
        suffix[i] = GENERATED_LETTERS[byte % (sizeof(GENERATED_LETTERS) - 1)];
    }
    return arena_printf(arena, "%.*s%s", GENERATED_PREFIX_MAX, prefix, suffix);
}

char *object_name_pick(const char *prefix, object_name_taken *is_taken, void *ctx,
                       struct arena *arena)
{
    char *name = object_name_generate(prefix, arena);
    for (int i = 1; i < GENERATED_ATTEMPTS && is_taken(ctx, name); i++)
        name = object_name_generate(prefix, arena);
    return name;
}

Meta__Time *object_time(int64_t wall_ns, struct arena *arena)
{
    Meta__Time *time = (Meta__Time *)kube_message_new(&meta__time__descriptor, arena);
    time->has_seconds = true;
    time->seconds = wall_ns / NS_PER_SEC;
    time->has_nanos = true; /* as a decoded one, so that both are equal */
    return time;
}

int64_t object_time_ns(const Meta__Time *time)
{
    return time ? sat_mul_i64(time->seconds, NS_PER_SEC) : 0;
}

void object_meta_create(Meta__ObjectMeta *meta, int64_t now_wall_ns, struct arena *arena)
{
    meta->uid = object_uid_new(arena);
    meta->creation_timestamp = object_time(now_wall_ns, arena);
    meta->resource_version = NULL;
    meta->self_link = NULL;
    meta->has_generation = false;
    meta->generation = 0;
    meta->deletion_timestamp = NULL;
    meta->has_deletion_grace_period_seconds = false;
    meta->deletion_grace_period_seconds = 0;
}

void object_meta_carry_over(Meta__ObjectMeta *meta, const Meta__ObjectMeta *old)
{
    meta->name = old->name;
    meta->namespace_ = old->namespace_;
    meta->uid = old->uid;
    meta->creation_timestamp = old->creation_timestamp;
    meta->self_link = NULL;
    meta->has_generation = old->has_generation;
    meta->generation = old->generation;
    meta->deletion_timestamp = old->deletion_timestamp;
    meta->has_deletion_grace_period_seconds = old->has_deletion_grace_period_seconds;
    meta->deletion_grace_period_seconds = old->deletion_grace_period_seconds;
}

bool object_has_finalizer(const Meta__ObjectMeta *meta, const char *finalizer)
{
    for (size_t i = 0; i < meta->n_finalizers; i++) {
        if (strcmp(meta->finalizers[i], finalizer) == 0)
            return true;
    }
    return false;
}

void object_add_finalizer(Meta__ObjectMeta *meta, const char *finalizer, struct arena *arena)
{
    if (object_has_finalizer(meta, finalizer))
        return;
    char **list = arena_alloc(arena, (meta->n_finalizers + 1) * sizeof(*list));
    for (size_t i = 0; i < meta->n_finalizers; i++)
        list[i] = meta->finalizers[i];
    list[meta->n_finalizers++] = arena_strdup(arena, finalizer);
    meta->finalizers = list;
}

void object_remove_finalizer(Meta__ObjectMeta *meta, const char *finalizer)
{
    size_t kept = 0;
    for (size_t i = 0; i < meta->n_finalizers; i++) {
        if (strcmp(meta->finalizers[i], finalizer) != 0)
            meta->finalizers[kept++] = meta->finalizers[i];
    }
    meta->n_finalizers = kept;
}
