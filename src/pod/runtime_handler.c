#include "pod/runtime_handler.h"

#include "base/str.h"

struct runtime_handler runtime_handler_of(const Cri__StatusResponse *status, const char *name)
{
    struct runtime_handler handler = {.name = name ? name : ""};
    size_t count = status ? status->n_runtime_handlers : 0;
    for (size_t i = 0; i < count; i++) {
        const Cri__RuntimeHandler *told = status->runtime_handlers[i];
        if (!text_eq(told->name, handler.name))
            continue;
        handler.user_namespaces = told->features && told->features->user_namespaces;
        handler.recursive_read_only = told->features && told->features->recursive_read_only_mounts;
        return handler;
    }
    handler.is_unknown = count > 0;
    return handler;
}
