#include "plane/ip_text.h"

#include <arpa/inet.h>

#define V4_OFFSET 12 /* where an IPv4 address begins in struct ip */
#define CIDR_TEXT_MAX_BYTES 64

bool ip_parse(const char *text, struct ip *ret)
{
    struct ip ip = {.is_v6 = strchr(text, ':') != NULL};
    if (inet_pton(ip.is_v6 ? AF_INET6 : AF_INET, text,
                  ip.is_v6 ? ip.bytes : ip.bytes + V4_OFFSET) != 1)
        return false;
    *ret = ip;
    return true;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return a->is_v6 == b->is_v6 && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

const char *ip_text(const struct ip *ip, struct arena *arena)
{
    char text[INET6_ADDRSTRLEN];
    const void *bytes = ip->is_v6 ? ip->bytes : ip->bytes + V4_OFFSET;
    if (!inet_ntop(ip->is_v6 ? AF_INET6 : AF_INET, bytes, text, sizeof(text)))
        base_die("an address does not fit its text");
    return arena_strdup(arena, text);
}

struct ip ip_add(const struct ip *base, uint32_t offset)
{
    struct ip sum = *base;
    uint32_t low;
    memcpy(&low, sum.bytes + V4_OFFSET, sizeof(low));
    low = htonl(ntohl(low) + offset);
    memcpy(sum.bytes + V4_OFFSET, &low, sizeof(low));
    return sum;
}

/* The address with all bits behind the prefix zero. */
static struct ip masked(const struct ip *ip, unsigned prefix_bits)
{
    struct ip result = *ip;
    unsigned bits = prefix_bits + (ip->is_v6 ? 0 : V4_OFFSET * 8);
    for (unsigned i = 0; i < sizeof(result.bytes); i++) {
        unsigned kept = bits > i * 8 ? bits - i * 8 : 0;
        if (kept < 8)
            result.bytes[i] = (unsigned char)(result.bytes[i] & (0xff00 >> kept));
    }
    return result;
}

enum cidr_fault { CIDR_FINE, CIDR_NONE, CIDR_ZEROS, CIDR_MAPPED, CIDR_BITS };

static enum cidr_fault parse_range(struct str text, struct ip_range *ret)
{
    static const unsigned char mapped[V4_OFFSET] = {[10] = 0xff, [11] = 0xff};
    size_t slash = str_find(text, '/');
    char address[CIDR_TEXT_MAX_BYTES], length[CIDR_TEXT_MAX_BYTES];
    if (slash == text.len || text.len >= sizeof(address))
        return CIDR_NONE;
    memcpy(address, text.ptr, slash);
    address[slash] = '\0';
    memcpy(length, text.ptr + slash + 1, text.len - slash - 1);
    length[text.len - slash - 1] = '\0';
    struct ip ip;
    int64_t bits = 0;
    if (!ip_parse(address, &ip) || !parse_i64(length, 0, ip.is_v6 ? 128 : 32, &bits))
        return CIDR_NONE;
    if (length[0] == '0' && length[1] != '\0')
        return CIDR_ZEROS;
    if (ip.is_v6 && memcmp(ip.bytes, mapped, sizeof(mapped)) == 0)
        return CIDR_MAPPED;
    const struct ip network = masked(&ip, (unsigned)bits);
    *ret = (struct ip_range){.base = network, .prefix_bits = (unsigned)bits};
    return ip_eq(&network, &ip) ? CIDR_FINE : CIDR_BITS;
}

bool ip_range_parse(struct str text, struct ip_range *ret)
{
    return parse_range(text, ret) == CIDR_FINE;
}

bool ip_range_has(const struct ip_range *range, const struct ip *ip)
{
    const struct ip network = masked(ip, range->prefix_bits);
    return ip->is_v6 == range->base.is_v6 && ip_eq(&network, &range->base);
}

const char *ip_range_text(const struct ip_range *range, struct arena *arena)
{
    return arena_printf(arena, "%s/%u", ip_text(&range->base, arena), range->prefix_bits);
}

void field_check_cidr(struct validation *v, const struct field_path *path, const char *text)
{
    static const char *const messages[] = {
        [CIDR_NONE] = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        [CIDR_ZEROS] = "must not have leading 0s in IP or prefix length",
        [CIDR_MAPPED] = "must not have an IPv4-mapped IPv6 address",
        [CIDR_BITS] = "must not have bits set beyond the prefix length",
    };
    struct ip_range range;
    enum cidr_fault fault = parse_range(str_from(or_empty(text)), &range);
    if (fault != CIDR_FINE)
        field_invalid(v, path, text, messages[fault]);
}

static bool is_in(const struct ip *ip, const char *range_text)
{
    struct ip_range range;
    return ip_range_parse(str_from(range_text), &range) && ip_range_has(&range, ip);
}

void field_check_non_special_ip(struct validation *v, const struct field_path *path,
                                const char *text)
{
    struct ip ip;
    if (!ip_parse(or_empty(text), &ip)) {
        field_invalid(v, path, text, "must be a valid IP address");
        return;
    }
    if (is_in(&ip, "0.0.0.0/32") || is_in(&ip, "::/128"))
        field_invalid(v, path, text, arena_printf(v->scratch, "may not be unspecified (%s)", text));
    if (is_in(&ip, "127.0.0.0/8") || is_in(&ip, "::1/128"))
        field_invalid(v, path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    if (is_in(&ip, "169.254.0.0/16") || is_in(&ip, "fe80::/10"))
        field_invalid(v, path, text,
                      "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    if (is_in(&ip, "224.0.0.0/24") || is_in(&ip, "ff02::/16"))
        field_invalid(v, path, text,
                      "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}
