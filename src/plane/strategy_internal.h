/*
 * Small words the strategies share. Pure. Any thread.
 */
#pragma once

#include "plane/meta_validate.h"
#include "plane/object_meta.h"
#include "plane/rest.h"
#include "plane/strategy.h"

/* A fresh message of @type ("Core__PodStatus") in @arena; @lower is its descriptor's prefix. */
#define NEW_MESSAGE(arena, type, lower) ((type *)kube_message_new(&lower##__descriptor, (arena)))

/** Core__EndpointPort and its like may name these. Ended by NULL, in upstream's order. */
extern const char *const strategy_protocols[];

/** True for an update or creation through subresource @name. */
bool strategy_is_through(const struct strategy_context *context, const char *name);
/** Where a validation records: into @errors, with scratch memory from the context. */
struct validation strategy_validation(const struct strategy_context *context,
                                      struct field_errors *errors);
/** The environment of REST for the same batch. */
struct rest_env strategy_rest_env(const struct strategy_context *context);

/** Equal, where absent and empty are the same: what is no pointer in Go. */
bool strategy_same(const ProtobufCMessage *a, const ProtobufCMessage *b);
/** The labels, annotations, finalizers and owners of @old: what some subresources do not touch. */
void strategy_keep_meta(Meta__ObjectMeta *meta, const Meta__ObjectMeta *old);
/** Puts @value into an empty text. */
void strategy_default_text(char **field, const char *value, struct arena *arena);
/** Records "field is immutable" at @path unless both are equal; @value is shown. */
void strategy_check_immutable_text(struct validation *v, const struct field_path *path,
                                   const char *value, const char *old);
/** 422 with one error at @path. */
Meta__Status *strategy_invalid(const struct strategy_context *context, const char *api_version,
                               const ProtobufCMessage *object, const struct field_error *error);
/** A Status of success, as creations on subresources answer. */
ProtobufCMessage *strategy_success(struct arena *arena);
/** Fails when a quantity is negative: "must be greater than or equal to 0". */
void strategy_check_quantity(struct validation *v, const struct field_path *path,
                             const Meta__Quantity *quantity);
