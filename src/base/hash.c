/*
 * Tables are keyed by names that users choose. SipHash-1-3 with a key nobody outside knows keeps
 * them from choosing the bucket as well; 1-3 rounds are the usual trade for tables that live in
 * memory only.
 */
#include "base/hash.h"

#include <pthread.h>
#include <sys/random.h>

static uint64_t seed[2]; /* written once below, then constant */
static pthread_once_t seed_drawn = PTHREAD_ONCE_INIT;

static void draw_seed(void)
{
    size_t done = 0;
    while (done < sizeof(seed)) {
        ssize_t got = getrandom((char *)seed + done, sizeof(seed) - done, 0);
        if (got < 0)
            continue; /* EINTR; nothing else can happen to a valid short request */
        done += (size_t)got;
    }
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

unsigned hash_bytes(const void *bytes, size_t len)
{
    (void)pthread_once(&seed_drawn, draw_seed);
    struct sip s = {
        .v0 = seed[0] ^ UINT64_C(0x736f6d6570736575),
        .v1 = seed[1] ^ UINT64_C(0x646f72616e646f6d),
        .v2 = seed[0] ^ UINT64_C(0x6c7967656e657261),
        .v3 = seed[1] ^ UINT64_C(0x7465646279746573),
    };
    const unsigned char *at = bytes;
    size_t left = len;
    for (; left >= 8; at += 8, left -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        sip_word(&s, word);
    }
    uint64_t last = (uint64_t)len << 56;
    if (left)
        memcpy(&last, at, left); /* fewer than eight: the length stays on top (little-endian) */
    sip_word(&s, last);
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    uint64_t hash = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    return (unsigned)(hash ^ hash >> 32);
}

uint32_t hash_fnv1a_32_add(uint32_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * UINT32_C(0x01000193);
    return hash;
}

uint32_t hash_fnv1a_32(const void *bytes, size_t len)
{
    return hash_fnv1a_32_add(HASH_FNV32_START, bytes, len);
}

uint64_t hash_fnv1a_64(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x00000100000001b3);
    return hash;
}

struct hash128 hash_fnv1a_128(const void *bytes, size_t len)
{
    __extension__ typedef unsigned __int128 wide;
    const wide prime = (wide)1 << 88 | 0x13b;
    wide hash = (wide)UINT64_C(0x6c62272e07bb0142) << 64 | UINT64_C(0x62b821756295c58d);
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * prime;
    return (struct hash128){.high = (uint64_t)(hash >> 64), .low = (uint64_t)hash};
}
