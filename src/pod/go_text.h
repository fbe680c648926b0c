/*
 * Texts as Go programs write them, where Kubernetes' contract is what Go prints: encoding/json of
 * core types in container annotations; %q of base/go_quote.h. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/go_quote.h"

#include "core.pb-c.h"

/**
 * Appends @text as a JSON string like Go's encoding/json: '<', '>', '&', U+2028 and U+2029 as \u
 * escapes, bytes that are not UTF-8 as \ufffd.
 */
void go_json_add_string(struct buf *buf, struct str text);

/** json.Marshal of a core/v1 LifecycleHandler: empty fields left out as its struct tags say. */
void go_json_add_handler(struct buf *buf, const Core__LifecycleHandler *handler);
/** json.Marshal of []ContainerPort. */
void go_json_add_ports(struct buf *buf, Core__ContainerPort *const *ports, size_t count);
