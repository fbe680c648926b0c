#include "config/options.h"

#include "config/option_value.h"
#include "kube/names.h"
#include "load.h"

#include "kubeletconfig.pb-c.h"

/* spec config.md §1: the fields of KubeletConfiguration v1beta1, by their JSON paths. */
static const char *const fields[] = {
#include "fields.inc"
};

static void add_path(struct arena *arena, const char *prefix,
                     const ProtobufCMessageDescriptor *type, const char **paths, size_t *count)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const char *path = arena_printf(arena, "%s.%s", prefix, field->name);
        bool is_object = field->type == PROTOBUF_C_TYPE_MESSAGE &&
                         field->label != PROTOBUF_C_LABEL_REPEATED &&
                         strncmp(((const ProtobufCMessageDescriptor *)field->descriptor)->name,
                                 "kubeletconfig.", strlen("kubeletconfig.")) == 0;
        if (is_object)
            add_path(arena, path, field->descriptor, paths, count);
        else
            paths[(*count)++] = path;
    }
}

TEST_CASE(every_field_and_flag_has_one_row)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *paths[512];
    size_t count = 0;
    add_path(arena, "flags", &kubeletconfig__kubelet_flags__descriptor, paths, &count);
    add_path(arena, "config", &kubeletconfig__kubelet_configuration__descriptor, paths, &count);
    for (size_t i = 0; i < count; i++) {
        if (!option_find_path(paths[i]))
            fail_msg("%s has no row", paths[i]);
    }
    assert_int_equal(count, option_count);
}

TEST_CASE(every_field_of_the_specification_exists)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    size_t found = 0, rows = 0;
    for (size_t i = 0; i < option_count; i++)
        rows += option_is_config(&option_table[i]) ? 1 : 0;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        bool is_known = false;
        for (size_t k = 0; k < option_count && !is_known; k++) {
            if (!option_is_config(&option_table[k]))
                continue;
            struct str rest = str_from(option_table[k].path), part;
            const char *json = "";
            (void)str_split_next(&rest, '.', &part);
            while (str_split_next(&rest, '.', &part)) {
                char name[FIELD_NAME_SIZE];
                (void)field_name_to_json(arena_strndup(arena, part.ptr, part.len), name);
                json = arena_printf(arena, "%s%s%s", json, json[0] ? "." : "", name);
            }
            is_known = text_eq(json, fields[i]);
        }
        if (!is_known)
            fail_msg("no row for %s", fields[i]);
        found++;
    }
    assert_int_equal(found, rows);
}

TEST_CASE(flags_are_sorted_and_described)
{
    bool flags_ended = false;
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        flags_ended = flags_ended || !option->flag;
        assert_true(!option->flag == flags_ended);
        if (!option->flag)
            continue;
        assert_non_null(option->help);
        assert_true(i == 0 || strcmp(option_table[i - 1].flag, option->flag) < 0);
        assert_ptr_equal(option_find_flag(str_from(option->flag)), option);
    }
}

TEST_CASE(a_default_reads_back_as_what_it_says)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < option_count; i++) {
        Kubeletconfig__Options options = KUBELETCONFIG__OPTIONS__INIT;
        const struct option *option = &option_table[i];
        option_value_set_default(&options.base, option, arena);
        if (!option->by_default || option->type == OPTION_FILE_ONLY)
            continue;
        const char *text = option_value_text(&options.base, option, arena);
        Kubeletconfig__Options again = KUBELETCONFIG__OPTIONS__INIT;
        if (option->type == OPTION_LIST)
            text = arena_strndup(arena, text + 1, strlen(text) - 2);
        assert_no_error(option_value_set(&again.base, option, text, true, arena));
        const char *second = option_value_text(&again.base, option, arena);
        if (option->type == OPTION_LIST)
            second = arena_strndup(arena, second + 1, strlen(second) - 2);
        assert_string_equal(text, second);
    }
}

TEST_CASE(help_lists_every_flag)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    config_print_help(out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "\nUsage:\n  cubelet [flags]\n\nFlags:\n      --address ip"));
    assert_non_null(strstr(text, "\n  -h, --help "));
    assert_non_null(strstr(text, "\n  -v, --v Level "));
    assert_non_null(strstr(text, "EventedPLEG=true|false (ALPHA - default=false)"));
    for (size_t i = 0; i < option_count; i++) {
        AUTO(free) char *flag = xasprintf("--%s", option_table[i].flag ? option_table[i].flag : "");
        assert_true(!option_table[i].flag || strstr(text, flag));
    }
    free(text);
}

TEST_MAIN(TEST(every_field_and_flag_has_one_row), TEST(every_field_of_the_specification_exists),
          TEST(flags_are_sorted_and_described), TEST(a_default_reads_back_as_what_it_says),
          TEST(help_lists_every_flag))
