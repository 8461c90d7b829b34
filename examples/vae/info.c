/* info.c: "vae info": what this program is, and what is in the folder of a run. Read next: run.c. */
#include "commands.h"
#include "run.h"
#include "say.h"

#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"

#include <stdio.h>

static tp_status describe_run(run *r)
{
    char text[PATH_SIZE], out[SHOWN_TEXT], shape[TP_TENSOR_TEXT];
    TP_TRY(run_load_model(r));
    printf("\nrun            %s\n", shown(out, r->o.run));
    for (int i = 0; i < flag_count; i++) {
        if (!flags[i].config)
            continue;
        flag_text(&r->o, &flags[i], text);
        printf("  %-12s %s\n", flags[i].name, shown(out, text));
    }
    printf("objective      %s\n", r->model.type->objective);
    printf("parameters     %lld\n", (long long)tp_params_count(&r->model.params));
    for (int i = 0; i < r->model.params.n; i++) {
        const tp_parameter *p = r->model.params.item[i];
        printf("  %-20s %s\n", p->name, tp_tensor_text(&p->value, shape));
    }
    return TP_OK;
}

int command_info(const options *o)
{
    run r;
    tp_status s = run_open(&r, o);
    if (s == TP_OK) {
        printf("version        " VERSION "\n");
        printf("instructions   %s\n", tp_isa());
        printf("OpenMP         %s\n", tp_have_openmp() ? "yes" : "no");
        printf("threads        %d of %d cores\n", tp_threads(), tp_cores());
        if (*o->run != '\0')
            s = describe_run(&r);
    }
    run_close(&r);
    return s == TP_OK ? EXIT_GOOD : complain_error(EXIT_BAD);
}
