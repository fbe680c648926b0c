/*
 * Fields of a protobuf-c message reached by a path such as "config.logging.verbosity". Inside the
 * config room only. All memory comes from the arena of the message. Asserts that paths and types
 * fit the descriptor: both come from tables.
 */
#pragma once

#include "base/arena.h"

#include <protobuf-c/protobuf-c.h>

struct field {
    ProtobufCMessage *message; /* that holds the field; NULL when an outer message is absent */
    const ProtobufCFieldDescriptor *type;
};

/** The field at @path; changes nothing. */
struct field field_find(ProtobufCMessage *root, const char *path);
/** The same, with the outer messages made where absent, so that it can be set. */
struct field field_make(ProtobufCMessage *root, const char *path, struct arena *arena);
/** The field @name of one message. */
struct field field_of(ProtobufCMessage *message, const char *name);

/** True when the field is there: a has_ bit, a pointer, at least one element. */
bool field_is_present(const struct field *field);
/** True when it is absent, or the zero of its type: 0, false, "", a zero duration. */
bool field_is_zero(const struct field *field);
void field_clear(const struct field *field);

/* Values of optional fields. Reading an absent one gives the zero. */
void field_set_bool(const struct field *field, bool value);
bool field_bool(const struct field *field);
/** Into an int32 or int64 field; @value must fit. */
void field_set_integer(const struct field *field, int64_t value);
int64_t field_integer(const struct field *field);
void field_set_double(const struct field *field, double value);
/** @text is copied; NULL clears. */
void field_set_text(const struct field *field, const char *text, struct arena *arena);
const char *field_text(const struct field *field); /* "" when absent */
/** Of a meta.Duration, or of JSON text that is a duration or a number of nanoseconds. */
void field_set_duration(const struct field *field, int64_t duration_ns, struct arena *arena);
/** 0 when absent. False when the JSON text is no duration; a meta.Duration always is one. */
MUST_CHECK bool field_parse_duration(const struct field *field, int64_t *ret_ns);
int64_t field_duration(const struct field *field); /* 0 also when it is none */
/** The message of an optional message field, made when absent. */
ProtobufCMessage *field_make_message(const struct field *field, struct arena *arena);
/** The field @name of an optional message field, for reading: an absent message reads as empty. */
struct field field_inner(const struct field *field, const char *name);

/* Lists. */
size_t field_count(const struct field *field);
const char *field_text_at(const struct field *field, size_t index);
ProtobufCMessage *field_message_at(const struct field *field, size_t index);
void field_add_text(const struct field *field, const char *text, struct arena *arena);
ProtobufCMessage *field_add_message(const struct field *field, struct arena *arena);

/** The entry of a map field whose key is @key, or NULL. */
ProtobufCMessage *field_map_get(const struct field *field, const char *key);
/** The same, made when absent. Set its "value" with field_of(entry, "value"). */
ProtobufCMessage *field_map_make(const struct field *field, const char *key, struct arena *arena);

/** A fresh message of @type. */
ProtobufCMessage *field_new_message(const ProtobufCMessageDescriptor *type, struct arena *arena);
