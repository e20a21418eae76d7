/* One pass with the keys and values of the command line, over images if the first key is `images`; prints the status and the
 * message. */
#include <string.h>
#include "check.h"
#include "crigc.h"

int main(int count, char **arguments)
{
    gc_error *error = NULL;
    gc_config *config = gc_config_new();
    gc_status status = GC_OK;
    int images = count > 2 && strcmp(arguments[1], "images") == 0;
    for (int i = images ? 3 : 1; i + 1 < count && status == GC_OK; i += 2)
        status = gc_config_set(config, arguments[i], arguments[i + 1], &error);
    gc_engine *engine = status == GC_OK ? gc_engine_new(config, &error) : NULL;
    if (engine)
        status = (images ? gc_images : gc_containers)(engine, 0, NULL, NULL, &error);
    else if (status == GC_OK)
        status = gc_error_status(error);
    printf("%s\n%s\n", gc_status_name(status), error ? gc_error_message(error) : "");
    gc_error_free(error);
    gc_engine_free(engine);
    gc_config_free(config);
    return 0;
}
