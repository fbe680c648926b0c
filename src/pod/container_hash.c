/*
 * Upstream hashes Go's textual dump of the bytes of a small JSON object; both steps are part of the
 * contract, since a container whose annotation disagrees is restarted.
 */
#include "pod/cri_config.h"

#include "pod/go_text.h"

#include "base/hash.h"

#define HASHED_JSON_MAX                                                                            \
    (64 * MiB) /* out of reach: name and image come from one pod of at most 10 MiB */

static uint32_t add_text(uint32_t hash, const char *text)
{
    return hash_fnv1a_32_add(hash, text, strlen(text));
}

/* The decimal value of a byte, without printf: this runs over every byte of every container's
 * image. */
static uint32_t add_byte_value(uint32_t hash, unsigned char byte)
{
    char digits[3];
    size_t len = 0;
    if (byte >= 100)
        digits[len++] = (char)('0' + byte / 100);
    if (byte >= 10)
        digits[len++] = (char)('0' + byte / 10 % 10);
    digits[len++] = (char)('0' + byte % 10);
    return hash_fnv1a_32_add(hash, digits, len);
}

uint32_t container_hash(const char *image, const char *name)
{
    AUTO(buf) struct buf json;
    buf_init(&json, HASHED_JSON_MAX);
    buf_add_text(&json, "{\"image\":");
    go_json_add_string(&json, str_from(image ? image : ""));
    buf_add_text(&json, ",\"name\":");
    go_json_add_string(&json, str_from(name ? name : ""));
    buf_add_char(&json, '}');

    uint32_t hash = add_text(HASH_FNV32_START, "([]uint8)[");
    for (size_t i = 0; i < json.len; i++) {
        if (i > 0)
            hash = add_text(hash, " ");
        hash = add_byte_value(hash, (unsigned char)json.data[i]);
    }
    return add_text(hash, "]");
}
