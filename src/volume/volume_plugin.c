#include "volume/volume_plugin.h"

static const struct volume_plugin *const plugins[] = {
    &volume_plugin_empty_dir, &volume_plugin_host_path,    &volume_plugin_config_map,
    &volume_plugin_secret,    &volume_plugin_downward_api, &volume_plugin_projected,
};

const struct volume_plugin *volume_plugin_for(const Core__VolumeSource *source)
{
    for (size_t i = 0; source && i < ARRAY_SIZE(plugins); i++) {
        if (plugins[i]->can_handle && plugins[i]->can_handle(source))
            return plugins[i];
    }
    return NULL;
}

const struct volume_plugin *volume_plugin_by_dir(const char *dir_name)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(plugins); i++) {
        if (text_eq(volume_plugin_dir_name(plugins[i], arena), dir_name))
            return plugins[i];
    }
    return NULL;
}

const char *volume_plugin_dir_name(const struct volume_plugin *plugin, struct arena *arena)
{
    char *name = arena_strdup(arena, plugin->name);
    for (char *c = name; *c != '\0'; c++) {
        if (*c == '/')
            *c = '~';
    }
    return name;
}

const char *volume_place_pod_dir(const struct volume_place *place)
{
    return arena_printf(place->arena, "%s/pods/%s", place->root_dir, place->pod_uid);
}

const char *volume_place_dir(const struct volume_plugin *plugin, const struct volume_place *place)
{
    return arena_printf(place->arena, "%s/volumes/%s/%s", volume_place_pod_dir(place),
                        volume_plugin_dir_name(plugin, place->arena), place->name);
}

bool volume_name_is_safe(const char *name)
{
    return name && *name != '\0' && !strchr(name, '/') && !text_eq(name, ".") &&
           !text_eq(name, "..");
}
