#include "node/node_status_internal.h"

#define OPERATING_SYSTEM "linux"
#define UNKNOWN_VERSION "Unknown"

/*
 * The version of the runtime is shown as Kubernetes reads it: as a semantic version with all it
 * has, else as numbers with dots between them and what follows cut off, else not at all.
 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_version_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

/* The numbers in front: "2.1.9". */
struct numbers {
    struct str text;
    size_t count;
    bool has_leading_zero;       /* of any of them */
    bool has_first_leading_zero; /* of the first */
};

static bool read_number(const char *text, size_t *ret_len)
{
    size_t len = 0;
    while (is_digit(text[len]))
        len++;
    AUTO(free) char *number = xstrndup(text, len);
    uint64_t value;
    *ret_len = len;
    return len > 0 && parse_u64(number, &value);
}

/* False for what is no version at all. */
static bool read_numbers(const char *text, struct numbers *ret)
{
    *ret = (struct numbers){.text = {.ptr = text}};
    for (;;) {
        const char *number = text + ret->text.len;
        size_t len;
        if (!read_number(number, &len))
            return false;
        bool has_zero = number[0] == '0' && len > 1;
        ret->has_leading_zero |= has_zero;
        ret->has_first_leading_zero |= has_zero && ret->count == 0;
        ret->count++;
        ret->text.len += len;
        if (text[ret->text.len] != '.' || !is_digit(text[ret->text.len + 1]))
            return true;
        ret->text.len++;
    }
}

/* Length of "alpha.1" at the front of @text; 0 when it is no such thing. */
static size_t identifiers_len(const char *text)
{
    size_t len = 0;
    while (is_version_char(text[len]) || (len > 0 && text[len] == '.' && text[len - 1] != '.'))
        len++;
    return len > 0 && text[len - 1] == '.' ? len - 1 : len;
}

/* A pre-release may not have numbers like "01". */
static bool has_zero_prefixed(struct str release)
{
    struct str rest = release, part;
    while (str_split_next(&rest, '.', &part)) {
        size_t digits = 0;
        while (digits < part.len && is_digit(part.ptr[digits]))
            digits++;
        if (digits == part.len && part.len > 1 && part.ptr[0] == '0')
            return true;
    }
    return false;
}

/* What may follow the numbers of a semantic version; false when something else does. */
static bool read_extra(const char *text, struct str *ret)
{
    size_t len = 0;
    if (text[0] == '-') {
        size_t release = identifiers_len(text + 1);
        if (release == 0 || has_zero_prefixed((struct str){.ptr = text + 1, .len = release}))
            return false;
        len += 1 + release;
    }
    if (text[len] == '+') {
        size_t build = identifiers_len(text + len + 1);
        if (build == 0)
            return false;
        len += 1 + build;
    }
    *ret = (struct str){.ptr = text, .len = len};
    return str_trim(str_from(text + len)).len == 0;
}

/* "20.010.1" is shown as 20.10.1. */
static const char *numbers_text(struct str numbers, struct arena *arena)
{
    const char *text = "";
    struct str rest = numbers, part;
    while (str_split_next(&rest, '.', &part)) {
        while (part.len > 1 && part.ptr[0] == '0') {
            part.ptr++;
            part.len--;
        }
        text = arena_printf(arena, "%s%s%.*s", text, text[0] ? "." : "", STR_ARG(part));
    }
    return text;
}

const char *node_runtime_version(const char *name, const char *version, struct arena *arena)
{
    const char *prefix = name ? name : "";
    const char *text = version ? version : "";
    text += strspn(text, " \t\n\v\f\r");
    text += text[0] == 'v' ? 1 : 0;
    struct numbers numbers;
    struct str extra = {0};
    if (!read_numbers(text, &numbers) || numbers.has_first_leading_zero || numbers.count < 2)
        return arena_printf(arena, "%s://" UNKNOWN_VERSION, prefix);
    bool is_semantic = numbers.count == 3 && !numbers.has_leading_zero &&
                       read_extra(text + numbers.text.len, &extra);
    if (!is_semantic)
        extra.len = 0;
    return arena_printf(arena, "%s://%s%.*s", prefix, numbers_text(numbers.text, arena),
                        STR_ARG(extra));
}

void node_info_update(const struct node_status_input *input, Core__NodeStatus *status,
                      struct arena *arena)
{
    const struct node_machine *machine = input->machine;
    Core__NodeSystemInfo *info = arena_alloc(arena, sizeof(*info));
    core__node_system_info__init(info);
    info->machine_id = node_text(machine->machine_id);
    info->system_uuid = node_text(machine->system_uuid);
    info->boot_id = node_text(machine->boot_id);
    info->kernel_version = node_text(machine->kernel_version);
    info->os_image = node_text(machine->os_image);
    info->container_runtime_version =
        node_text(node_runtime_version(input->runtime_name, input->runtime_version, arena));
    info->kubelet_version = node_text(CONFIG_VERSION);
    info->kube_proxy_version = node_text("");
    info->operating_system = node_text(OPERATING_SYSTEM);
    info->architecture = node_text(machine->architecture);
    if (machine->swap_bytes > 0) {
        info->swap = arena_alloc(arena, sizeof(*info->swap));
        core__node_swap_status__init(info->swap);
        info->swap->has_capacity = true;
        info->swap->capacity = machine->swap_bytes;
    }
    status->node_info = info;
}
