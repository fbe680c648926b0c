/*
 * IP addresses and ranges as texts of the API: parsing, families, arithmetic on the last 32 bits,
 * and the rules for fields that hold them. Pure. Any thread.
 */
#pragma once

#include "kube/validation.h"

/** An address: 16 bytes, of which an IPv4 one uses the last four. */
struct ip {
    bool is_v6;
    unsigned char bytes[16];
};

/** False when @text is no address in its usual form. */
MUST_CHECK bool ip_parse(const char *text, struct ip *ret);
bool ip_eq(const struct ip *a, const struct ip *b);
/** The canonical text, in @arena. */
const char *ip_text(const struct ip *ip, struct arena *arena);
/** @base plus @offset; what is carried out of the last four bytes is dropped. */
struct ip ip_add(const struct ip *base, uint32_t offset);

struct ip_range {
    struct ip base; /* the network's address */
    unsigned prefix_bits;
};

/** Parses "10.96.0.0/12". False for anything else, also when bits beyond the prefix are set. */
MUST_CHECK bool ip_range_parse(struct str text, struct ip_range *ret);
bool ip_range_has(const struct ip_range *range, const struct ip *ip);
const char *ip_range_text(const struct ip_range *range, struct arena *arena);

/** Records what is wrong with the range @text at @path, in upstream's words. */
void field_check_cidr(struct validation *v, const struct field_path *path, const char *text);
/** Records an address that stands for no other machine: unspecified, loopback, link-local. */
void field_check_non_special_ip(struct validation *v, const struct field_path *path,
                                const char *text);
