/* CRI requests on the stack: built for one call and borrowed by it. For whoever calls a runtime. */
#pragma once

#include "cri.pb-c.h"

/** protobuf-c wants mutable strings in messages that it only reads; this says that nobody writes.
 */
static inline char *cri_borrow(const char *text)
{
    union {
        const char *in;
        char *out;
    } cast = {.in = text ? text : ""};
    return cast.out;
}
