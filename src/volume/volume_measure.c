#include "volume/volume_jobs.h"
#include "volume/volume_plugin.h"

/* Upstream's list, which leaves out what lies on a tmpfs but also some that do not. */
static bool is_local_ephemeral(const Core__VolumeSource *source)
{
    if (source->empty_dir)
        return !source->empty_dir->medium || *source->empty_dir->medium == '\0';
    return source->config_map != NULL;
}

static bool is_measurable(const Core__PodSpec *spec, const Core__Volume *volume)
{
    const struct volume_plugin *plugin = volume_plugin_for(volume->volume_source);
    return plugin && plugin->measure != VOLUME_MEASURE_NONE && volume_name_is_safe(volume->name) &&
           volume_is_used(spec, volume->name);
}

size_t volume_measurables(const char *root_dir, const Core__Pod *pod, struct arena *arena,
                          const struct volume_measurable **ret)
{
    const Core__PodSpec *spec = pod->spec;
    const char *uid = pod->metadata ? pod->metadata->uid : NULL;
    size_t count = 0;
    struct volume_measurable *found =
        arena_calloc(arena, spec ? spec->n_volumes + 1 : 1, sizeof(*found));
    for (size_t i = 0; spec && volume_name_is_safe(uid) && i < spec->n_volumes; i++) {
        const Core__Volume *volume = spec->volumes[i];
        if (!is_measurable(spec, volume))
            continue;
        const struct volume_plugin *plugin = volume_plugin_for(volume->volume_source);
        const struct volume_place place = {
            .root_dir = root_dir, .pod_uid = uid, .name = volume->name, .arena = arena};
        found[count++] = (struct volume_measurable){.name = arena_strdup(arena, volume->name),
                                                    .path = volume_place_dir(plugin, &place),
                                                    .measure = plugin->measure,
                                                    .is_local_ephemeral =
                                                        is_local_ephemeral(volume->volume_source)};
    }
    *ret = found;
    return count;
}
