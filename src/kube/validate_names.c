/*
 * The name rules of apimachinery/pkg/util/validation and api/validate/content, by hand instead of
 * by regular expression; the expressions appear in the messages only, because users and tests read
 * them there.
 */
#include "kube/validate_internal.h"

#include <arpa/inet.h>

/* RFC 1123 and RFC 6335 limits as upstream names them. */
#define LABEL_MAX_BYTES 63
#define SUBDOMAIN_MAX_BYTES 253
#define PORT_NAME_MAX_BYTES 15
#define SYSCTL_MAX_BYTES 253

#define LABEL_REGEX "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define UNDERSCORE_LABEL_REGEX "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
#define KEY_REGEX "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
#define USED_REGEX(regex) "regex used for validation is '" regex "')"

#define LABEL_FAULT                                                                                \
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "   \
    "must start and end with an alphanumeric character (e.g. 'my-name',  or "                      \
    "'123-abc', " USED_REGEX(LABEL_REGEX)
#define SUBDOMAIN_FAULT                                                                            \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "   \
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', " USED_REGEX( \
        LABEL_REGEX "(\\." LABEL_REGEX ")*")
#define UNDERSCORE_SUBDOMAIN_FAULT                                                                 \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' " \
    "or '.', and must start and end with an alphanumeric character (e.g. "                         \
    "'example.com', " USED_REGEX(UNDERSCORE_LABEL_REGEX "(\\." UNDERSCORE_LABEL_REGEX ")*")
#define KEY_FAULT                                                                                  \
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "    \
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', " USED_REGEX(KEY_REGEX)
#define LABEL_VALUE_FAULT                                                                          \
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "    \
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "             \
    "'my_value',  or '12345', " USED_REGEX("(" KEY_REGEX ")?")
#define CONFIG_KEY_FAULT                                                                           \
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "           \
    "'key.name',  or 'KEY_NAME',  or 'key-name', " USED_REGEX("[-._a-zA-Z0-9]+")
#define HTTP_HEADER_FAULT                                                                          \
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. "                    \
    "'X-Header-Name', " USED_REGEX("[-A-Za-z0-9]+")
#define MAX_63_BYTES "must be no more than 63 bytes"
#define MAX_253_BYTES "must be no more than 253 bytes"

static void add_fault(struct name_faults *faults, const char *message)
{
    ASSERT(faults->count < NAME_FAULTS_MAX);
    faults->messages[faults->count++] = message;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower_alnum(char c)
{
    return is_lower(c) || is_digit(c);
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* LABEL_REGEX without its length; with @underscore, UNDERSCORE_LABEL_REGEX. */
static bool is_label(struct str text, bool underscore)
{
    if (underscore && text.len > 0 && text.ptr[0] == '_')
        text = (struct str){.ptr = text.ptr + 1, .len = text.len - 1};
    if (text.len == 0 || !is_lower_alnum(text.ptr[0]) || !is_lower_alnum(text.ptr[text.len - 1]))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!is_lower_alnum(c) && c != '-' && !(underscore && c == '_'))
            return false;
    }
    return true;
}

static bool is_subdomain(struct str text, bool underscore)
{
    struct str rest = text.ptr ? text : STR_LITERAL(""), part;
    bool any = false;
    while (str_split_next(&rest, '.', &part)) {
        if (!is_label(part, underscore))
            return false;
        any = true;
    }
    return any;
}

/* KEY_REGEX without its length. */
static bool is_key_name(struct str text)
{
    if (text.len == 0 || !is_alnum(text.ptr[0]) || !is_alnum(text.ptr[text.len - 1]))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!is_alnum(c) && c != '-' && c != '_' && c != '.')
            return false;
    }
    return true;
}

void name_rule_dns1123_label(struct str name, struct name_faults *faults)
{
    if (name.len > LABEL_MAX_BYTES)
        add_fault(faults, MAX_63_BYTES);
    if (!is_label(name, false))
        add_fault(faults, is_subdomain(name, false) ? "must not contain dots" : LABEL_FAULT);
}

void name_rule_dns1123_subdomain(struct str name, struct name_faults *faults)
{
    if (name.len > SUBDOMAIN_MAX_BYTES)
        add_fault(faults, MAX_253_BYTES);
    if (!is_subdomain(name, false))
        add_fault(faults, SUBDOMAIN_FAULT);
}

void name_rule_dns1123_subdomain_prefix(struct str name, struct name_faults *faults)
{
    /* As upstream: what ends in a dash is judged with its last two bytes replaced by a letter. */
    char masked[SUBDOMAIN_MAX_BYTES];
    if (name.len > 1 && name.len - 1 <= sizeof(masked) && name.ptr[name.len - 1] == '-') {
        memcpy(masked, name.ptr, name.len - 2);
        masked[name.len - 2] = 'a';
        name = (struct str){.ptr = masked, .len = name.len - 1};
    }
    name_rule_dns1123_subdomain(name, faults);
}

void name_rule_dns1123_subdomain_underscore(struct str name, struct name_faults *faults)
{
    if (name.len > SUBDOMAIN_MAX_BYTES)
        add_fault(faults, MAX_253_BYTES);
    if (!is_subdomain(name, true))
        add_fault(faults, UNDERSCORE_SUBDOMAIN_FAULT);
}

void name_rule_qualified(struct str name, struct name_faults *faults)
{
    size_t slash = str_find(name, '/');
    if (slash < name.len) {
        struct str prefix = {.ptr = name.ptr, .len = slash};
        name = (struct str){.ptr = name.ptr + slash + 1, .len = name.len - slash - 1};
        if (str_find(name, '/') < name.len) {
            add_fault(faults, "a valid label key " KEY_FAULT
                              " with an optional DNS subdomain prefix and '/' (e.g. "
                              "'example.com/MyName')");
            return;
        }
        if (prefix.len == 0) {
            add_fault(faults, "prefix part must be non-empty");
        } else {
            if (prefix.len > SUBDOMAIN_MAX_BYTES)
                add_fault(faults, "prefix part " MAX_253_BYTES);
            if (!is_subdomain(prefix, false))
                add_fault(faults, "prefix part " SUBDOMAIN_FAULT);
        }
    }
    if (name.len == 0)
        add_fault(faults, "name part must be non-empty");
    else if (name.len > LABEL_MAX_BYTES)
        add_fault(faults, "name part " MAX_63_BYTES);
    if (!is_key_name(name))
        add_fault(faults, "name part " KEY_FAULT);
}

void name_rule_label_value(struct str name, struct name_faults *faults)
{
    if (name.len > LABEL_MAX_BYTES)
        add_fault(faults, MAX_63_BYTES);
    if (name.len > 0 && !is_key_name(name))
        add_fault(faults, LABEL_VALUE_FAULT);
}

/* IANA_SVC_NAME of RFC 6335, lower case only. */
void name_rule_port_name(struct str name, struct name_faults *faults)
{
    bool charset = name.len > 0, letter = false, doubled = false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        charset = charset && (is_lower_alnum(c) || c == '-');
        letter = letter || is_lower(c);
        doubled = doubled || (c == '-' && i > 0 && name.ptr[i - 1] == '-');
    }
    if (name.len > PORT_NAME_MAX_BYTES)
        add_fault(faults, "must be no more than 15 bytes");
    if (!charset)
        add_fault(faults, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    if (!letter)
        add_fault(faults, "must contain at least one letter (a-z)");
    if (doubled)
        add_fault(faults, "must not contain consecutive hyphens");
    if (name.len > 0 && (name.ptr[0] == '-' || name.ptr[name.len - 1] == '-'))
        add_fault(faults, "must not begin or end with a hyphen");
}

/* RelaxedEnvironmentVariableValidation, GA: printable ASCII but '='. */
void name_rule_env_name(struct str name, struct name_faults *faults)
{
    if (name.len == 0)
        add_fault(faults, "environment variable name must be non-empty");
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (c < 0x20 || c > 0x7e || c == '=') {
            add_fault(faults, "a valid environment variable name must consist only of printable "
                              "ASCII characters other than '='");
            return;
        }
    }
}

void name_rule_config_key(struct str name, struct name_faults *faults)
{
    bool charset = name.len > 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        charset = charset && (is_alnum(c) || c == '-' || c == '_' || c == '.');
    }
    if (name.len > SUBDOMAIN_MAX_BYTES)
        add_fault(faults, MAX_253_BYTES);
    if (!charset)
        add_fault(faults, CONFIG_KEY_FAULT);
    if (str_eq_c(name, "."))
        add_fault(faults, "must not be '.'");
    else if (str_eq_c(name, ".."))
        add_fault(faults, "must not be '..'");
    else if (str_has_prefix(name, ".."))
        add_fault(faults, "must not start with '..'");
}

void name_rule_http_header(struct str name, struct name_faults *faults)
{
    bool charset = name.len > 0;
    for (size_t i = 0; i < name.len; i++)
        charset = charset && (is_alnum(name.ptr[i]) || name.ptr[i] == '-');
    if (!charset)
        add_fault(faults, HTTP_HEADER_FAULT);
}

/* "010.9.8.007": four numbers of any length, as Go's old parser read them. */
static bool is_sloppy_ipv4(struct str text, bool *ret_leading_zeros)
{
    struct str rest = text, part;
    size_t parts = 0;
    bool leading_zeros = false;
    while (text.ptr && str_split_next(&rest, '.', &part)) {
        unsigned value = 0;
        for (size_t i = 0; i < part.len; i++) {
            if (!is_digit(part.ptr[i]))
                return false;
            value = value * 10 + (unsigned)(part.ptr[i] - '0');
            if (value > 255)
                return false;
        }
        if (part.len == 0)
            return false;
        leading_zeros = leading_zeros || (part.len > 1 && part.ptr[0] == '0');
        parts++;
    }
    *ret_leading_zeros = leading_zeros;
    return parts == 4;
}

/* StrictIPCIDRValidation, on: no leading zeros, no IPv4-mapped IPv6. */
void name_rule_ip(struct str name, struct name_faults *faults)
{
    static const char *const not_an_ip =
        "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool leading_zeros = false;
    if (is_sloppy_ipv4(name, &leading_zeros)) {
        if (leading_zeros)
            add_fault(faults, "must not have leading 0s");
        return;
    }
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (name.len == 0 || name.len >= sizeof(text)) {
        add_fault(faults, not_an_ip);
        return;
    }
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    if (strlen(text) != name.len || inet_pton(AF_INET6, text, address) != 1)
        add_fault(faults, not_an_ip);
    else if (memcmp(address, mapped, sizeof(mapped)) == 0)
        add_fault(faults, "must not be an IPv4-mapped IPv6 address");
}

/* ([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])? */
bool is_sysctl_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > SYSCTL_MAX_BYTES)
        return false;
    bool at_start = true;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        char next = name[i + 1];
        bool at_end = next == '\0' || next == '.' || next == '/';
        if (c == '.' || c == '/') {
            if (at_start || next == '\0')
                return false;
            at_start = true;
            continue;
        }
        if (!is_lower_alnum(c) && (at_start || at_end || (c != '-' && c != '_')))
            return false;
        at_start = false;
    }
    return true;
}

static const char *first_fault(struct str name, name_rule *rule)
{
    struct name_faults faults = {.count = 0};
    rule(name, &faults);
    return faults.count > 0 ? faults.messages[0] : NULL;
}

const char *name_check_dns1123_label(struct str name)
{
    return first_fault(name, name_rule_dns1123_label);
}

const char *name_check_dns1123_subdomain(struct str name)
{
    return first_fault(name, name_rule_dns1123_subdomain);
}

const char *name_check_qualified(struct str name)
{
    return first_fault(name, name_rule_qualified);
}
