#include "tests/unit/kube/fake_server.h"

#include "wire/http.h"

#include <stdio.h>

void fake_server_init(struct fake_server *server, struct api_client *client)
{
    *server = (struct fake_server){.client = client, .offers_streams = true};
}

void fake_server_done(struct fake_server *server)
{
    free(server->changes);
    server->changes = NULL;
}

static void change(struct fake_server *server, enum watch_event_type type, unsigned name)
{
    server->changes = xrealloc(server->changes, (server->version + 1) * sizeof(*server->changes));
    server->objects[name].version = server->version + 1;
    server->changes[server->version++] =
        (struct fake_server_change){.type = type, .name = name, .object = server->objects[name]};
}

void fake_server_put(struct fake_server *server, unsigned name)
{
    struct fake_server_object *object = &server->objects[name];
    bool is_new = !object->exists;
    if (is_new)
        *object = (struct fake_server_object){.exists = true, .uid = ++server->uids};
    change(server, is_new ? WATCH_ADDED : WATCH_MODIFIED, name);
}

void fake_server_delete(struct fake_server *server, unsigned name)
{
    if (!server->objects[name].exists)
        return;
    change(server, WATCH_DELETED, name);
    server->objects[name].exists = false;
}

void fake_server_compact(struct fake_server *server)
{
    server->oldest = server->version;
}

/* --- objects --- */

static const char *number(uint64_t value, struct arena *arena)
{
    return arena_printf(arena, "%llu", (unsigned long long)value);
}

static ProtobufCMessage *message_of(const struct kube_kind *kind, unsigned name,
                                    const struct fake_server_object *object, struct arena *arena)
{
    return fake_object(kind, "ns", arena_printf(arena, "n%u", name), number(object->uid, arena),
                       number(object->version, arena), arena);
}

bool fake_server_has(const struct fake_server *server, const struct kube_object *object)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    int64_t name;
    if (!parse_i64(kube_object_name(object) + 1, 0, FAKE_SERVER_NAMES - 1, &name))
        return false;
    const struct fake_server_object *ours = &server->objects[name];
    return ours->exists && text_eq(kube_object_uid(object), number(ours->uid, arena)) &&
           text_eq(kube_object_version(object), number(ours->version, arena));
}

size_t fake_server_count(const struct fake_server *server)
{
    size_t count = 0;
    for (size_t i = 0; i < FAKE_SERVER_NAMES; i++)
        count += server->objects[i].exists;
    return count;
}

/* --- lists --- */

static void answer_list(struct fake_server *server, struct fake_exchange *call,
                        const struct http_target *target, struct arena *arena)
{
    const char *token = http_target_param(target, "continue");
    const char *version = http_target_param(target, "resourceVersion");
    bool is_paged = server->page_size > 0 && http_target_param(target, "limit");
    const ProtobufCMessage *objects[FAKE_SERVER_NAMES];
    size_t count = 0, begin = 0;
    uint64_t snapshot = server->version, wanted;
    if (version && parse_u64(version, &wanted) && wanted > server->version) {
        fake_fail(call, 504, "Timeout", "Too large resource version");
        return;
    }
    if (token) { /* "<version>-<begin>" */
        struct str rest = str_from(token), piece;
        (void)str_split_next(&rest, '-', &piece);
        AUTO(free) char *at = str_dup(piece);
        AUTO(free) char *from = str_dup(rest);
        uint64_t begin_u64 = 0;
        ASSERT(parse_u64(at, &snapshot) && parse_u64(from, &begin_u64));
        begin = (size_t)begin_u64;
        if (snapshot != server->version) { /* it keeps no old states */
            fake_fail(call, 410, "Expired", "The provided continue parameter is too old");
            return;
        }
    }
    size_t seen = 0;
    for (unsigned i = 0; i < FAKE_SERVER_NAMES; i++) {
        bool is_due = server->objects[i].exists && seen++ >= begin;
        if (is_due && (!is_paged || count < server->page_size))
            objects[count++] = message_of(call->kind, i, &server->objects[i], arena);
    }
    const char *next = NULL;
    if (begin + count < seen)
        next = arena_printf(arena, "%s-%zu", number(snapshot, arena), begin + count);
    fake_reply_list(call, objects, count, number(snapshot, arena), next);
}

/* --- watches --- */

static bool is_known(const struct fake_server *server, const struct fake_exchange *watch)
{
    return server->watch == watch->serial + 1;
}

static void refuse(struct fake_exchange *watch, unsigned code, const char *reason,
                   const char *message)
{
    if (watch->is_open)
        (void)fake_send_error(watch, (int32_t)code, reason, message);
    else
        fake_fail(watch, code, reason, message);
}

static void begin_watch(struct fake_server *server, struct fake_exchange *watch,
                        const struct http_target *target, struct arena *arena)
{
    const char *text = http_target_param(target, "resourceVersion");
    bool is_stream = http_target_param(target, "sendInitialEvents");
    uint64_t version = 0;
    if (is_stream && !server->offers_streams) {
        refuse(watch, 422, "Invalid", "sendInitialEvents is forbidden");
        return;
    }
    bool has_version = text && parse_u64(text, &version) && version > 0;
    if (has_version && version > server->version) {
        refuse(watch, 504, "Timeout", "Too large resource version");
        return;
    }
    if (has_version && !is_stream && version < server->oldest) {
        fake_send_error(watch, 410, "Expired", "too old resource version");
        return;
    }
    if (!watch->is_open)
        watch = fake_open(watch);
    if (!watch)
        return;
    server->watch = watch->serial + 1;
    server->told = has_version && !is_stream ? version : server->version;
    if (has_version && !is_stream)
        return;
    for (unsigned i = 0; watch && i < FAKE_SERVER_NAMES; i++) {
        if (server->objects[i].exists)
            watch = fake_send(watch, WATCH_ADDED,
                              message_of(watch->kind, i, &server->objects[i], arena));
    }
    if (watch && is_stream)
        (void)fake_send_bookmark(watch, number(server->told, arena), true);
}

static void tell_change(struct fake_exchange *watch, const struct fake_server_change *told,
                        struct arena *arena)
{
    (void)fake_send(watch, told->type, message_of(watch->kind, told->name, &told->object, arena));
}

bool fake_server_bookmark(struct fake_server *server)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    for (struct fake_exchange *at = fake_first(server->client); at; at = at->next) {
        if (at->is_watch && at->is_open && is_known(server, at)) {
            (void)fake_send_bookmark(at, number(server->told, arena), false);
            return true;
        }
    }
    return false;
}

/* --- answering --- */

bool fake_server_answer_one(struct fake_server *server)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    for (struct fake_exchange *at = fake_first(server->client); at; at = at->next) {
        struct http_target target;
        if (at->is_open && is_known(server, at)) {
            if (server->told == server->version)
                continue;
            tell_change(at, &server->changes[server->told++], arena);
            return true;
        }
        struct error *err = http_target_parse(str_from(at->target), arena, &target);
        ASSERT(!err);
        if (at->is_watch)
            begin_watch(server, at, &target, arena);
        else
            answer_list(server, at, &target, arena);
        return true;
    }
    return false;
}

void fake_server_answer(struct fake_server *server)
{
    while (fake_server_answer_one(server))
        ;
}
