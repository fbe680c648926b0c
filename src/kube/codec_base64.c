#include "kube/codec_base64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="; /* padding last */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct str text, struct arena *arena, uint8_t **ret_bytes, size_t *ret_len)
{
    uint8_t *bytes = arena_alloc(arena, text.len / 4 * 3 + 3);
    size_t len = 0, symbols = 0, pads = 0;
    uint32_t group = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n' || c == '\r')
            continue;
        int value = sextet(c);
        if (c == '=' && symbols % 4 >= 2 && pads < 2)
            pads++;
        else if (value < 0 || pads > 0)
            return false;
        group = group << 6 | (uint32_t)(value < 0 ? 0 : value);
        if (++symbols % 4 != 0)
            continue;
        bytes[len++] = (uint8_t)(group >> 16);
        bytes[len++] = (uint8_t)(group >> 8);
        bytes[len++] = (uint8_t)group;
    }
    if (symbols % 4 != 0)
        return false;
    *ret_bytes = bytes;
    *ret_len = len - pads;
    return true;
}

char *base64_encode(const uint8_t *bytes, size_t len)
{
    char *text = xcalloc(len / 3 + 2, 4);
    char *at = text;
    for (size_t i = 0; i < len; i += 3) {
        size_t have = min_size(len - i, 3);
        uint32_t group = (uint32_t)bytes[i] << 16;
        group |= have > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= have > 2 ? bytes[i + 2] : 0;
        *at++ = alphabet[group >> 18];
        *at++ = alphabet[group >> 12 & 63];
        *at++ = alphabet[have > 1 ? group >> 6 & 63 : 64];
        *at++ = alphabet[have > 2 ? group & 63 : 64];
    }
    return text;
}
