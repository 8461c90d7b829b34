/* options.c: the table of flags, and reading a command line by it.
 *
 * Arguments are first matched to rows and their values tried, so that a slip is reported before any file
 * is opened; then preset, config.json and flags are laid over each other. Read next: values.c, config.c. */
#include "options.h"
#include "curves.h"
#include "say.h"

#include <stdio.h>
#include <string.h>

/* --- the table ---------------------------------------------------------------------------------- */

static const char *model_choice(int i)
{
    return i < tp_model_type_count ? tp_model_types[i]->name : NULL;
}

static const char *binarize_choice(int i)
{
    static const char *const names[] = {[TP_BINARIZE_GREY] = "grey",
                                        [TP_BINARIZE_THRESHOLD] = "threshold",
                                        [TP_BINARIZE_STATIC] = "static",
                                        [TP_BINARIZE_DYNAMIC] = "dynamic"};
    return i < (int)(sizeof names / sizeof *names) ? names[i] : NULL;
}

static const char *channels_choice(int i)
{
    static const char *const names[] = {
        [TP_CHANNELS_GREY] = "grey", [TP_CHANNELS_COLOUR] = "colour", [TP_CHANNELS_AUTO] = "auto"};
    return i < (int)(sizeof names / sizeof *names) ? names[i] : NULL;
}

static const char *keep_choice(int i)
{
    static const char *const names[] = {[KEEP_LAST] = "last", [KEEP_BEST] = "best", NULL};
    return names[i];
}

static const char *bias_choice(int i)
{
    static const char *const names[] = {[BIAS_INIT] = "init", [BIAS_MEAN] = "mean", NULL};
    return names[i];
}

static const char *gradient_name(int i)
{
    static const char *const names[] = {"bar", "partial", "delta", NULL};
    return names[i];
}

const char *format_name(int i)
{
    static const char *const names[] = {
        [FORMAT_TEXT] = "text", [FORMAT_MARKDOWN] = "markdown", [FORMAT_LATEX] = "latex",
        [FORMAT_HTML] = "html", [FORMAT_DOT] = "dot",           [FORMAT_MERMAID] = "mermaid",
        [FORMAT_SVG] = "svg"};
    return i < (int)(sizeof names / sizeof *names) ? names[i] : NULL;
}

const char *ais_start_name(int i)
{
    static const char *const names[] = {"prior", "posterior", NULL};
    return names[i];
}

#define AT(member) offsetof(options, member)
enum {
    WITH_IMAGES = RECONSTRUCT | TRAVERSE | INTERPOLATE | SCATTER,
    WITH_RUN = EVAL | AIS | SAMPLE | MANIFOLD | WITH_IMAGES | REPORT,
    PICTURES = SAMPLE | RECONSTRUCT | MANIFOLD | TRAVERSE | INTERPOLATE,
    MILLION = 1000000
};

/* clang-format off */
const flag flags[] = {
    {"run",        "DIR",  WITH_RUN | INFO, WITH_RUN, false, TEXT,    AT(run),        .help = "folder that 'train' wrote"},
    {"run",        "DIR",  EXPLAIN | EXPLAIN_RUN, 0,  false, TEXT,    AT(run),        .help = "folder that 'train' wrote: the step that would come next there (default: the first step\nof a new model)"},
    {"run",        "DIR",  CURVES,          CURVES,   false, PATHS,   AT(runs),       .help = "folder that 'train' wrote; may be given several times, for several runs in one chart"},
    {"config",     "FILE", TRAIN | EXPLAIN,           0,        false, TEXT,    AT(config),     .help = "settings from the config.json of another run"},
    {"preset",     "NAME", TRAIN | EXPLAIN,           0,        true,  CHOICE,  AT(preset),     .choice = preset_name, .help = "settings to start from; --config and flags go over it"},
    {"model",      "NAME", TRAIN | EXPLAIN,           0,        true,  CHOICE,  AT(model),      .choice = model_choice, .help = "one of those that the command 'models' lists"},
    {"set",        "NAME=X,…", TRAIN | EXPLAIN,       0,        true,  OPTION_LIST,   AT(set),        -1e300, 1e300, .help = "the model's options; 'models' says which there are"},
    {"data",       "PATH", TRAIN | EVAL | AIS | WITH_IMAGES | REPORT | EXPLAIN | RESUME | EXPLAIN_RUN, 0, true, TEXT, AT(data),       .help = "folder with the splits train and, if there is one, t10k or test: idx files as MNIST's\n(plain or .gz), train.npy or folders of PNG; or one file or folder of PNG.\n'" DIGITS "' is a tenth of MNIST that comes with the source"},
    {"valid",      "N",    TRAIN | EXPLAIN, 0,        true,  INTEGER, AT(valid),      0, 1e9, .help = "the last N training images are held back for validation: the curves are of them then, and the\ntest images are left alone. Data that have a split valid need none of it"},
    {"channels",   "NAME", TRAIN | EXPLAIN,           0,        true,  CHOICE,  AT(channels),   .choice = channels_choice, .help = "of PNG: grey; colour; auto: colour if any picture has it. Arrays are as they are, in colour\nof shape count, 3, height, width. A run keeps what its training images are"},
    {"binarize",   "NAME", TRAIN | EXPLAIN,           0,        true,  CHOICE,  AT(binarize),   .choice = binarize_choice, .help = "grey: pixels as they are; threshold: 1 above a half, else 0; static: 1 with the pixel as\nprobability, drawn once; dynamic: drawn anew in each epoch, and measured as static"},
    {"binarize-seed", "N", TRAIN | EXPLAIN,           0,        true,  SEED,    AT(binarize_seed), .help = "of the static draw; apart from --seed, so that several runs can have the same"},
    {"height",     NULL,   0,               0,        true,  INTEGER, AT(height),     1, 16384, .help = "of one picture"},
    {"width",      NULL,   0,               0,        true,  INTEGER, AT(width),      1, 16384, .help = "of one picture"},
    {"classes",    NULL,   0,               0,        true,  INTEGER, AT(classes),    0, 256, .help = "of the training labels"},
    {"examples",   NULL,   0,               0,        true,  INTEGER, AT(examples),   0, 1e15, .help = "in the training data"},
    {"hidden",     "N,…",  TRAIN | EXPLAIN,           0,        true,  SIZES,   AT(hidden),     1, MILLION, .help = "sizes of the encoder's hidden layers; the decoder mirrors them (default: what\nthe model has, mostly 400); of conv_vae the dense layers behind its convolutions"},
    {"activation", "NAME", TRAIN | EXPLAIN, 0,        true,  CHOICE,  AT(activation), .choice = tp_activation_name, .help = "of the hidden layers"},
    {"init",       "NAME", TRAIN | EXPLAIN, 0,        true,  CHOICE,  AT(init),       .choice = tp_init_name, .help = "what layers begin with: pytorch: weights and biases uniform up to 1/√inputs; glorot: weights\nuniform by inputs and outputs, biases 0"},
    {"output-bias", "NAME", TRAIN | EXPLAIN, 0,       true,  CHOICE,  AT(output_bias), .choice = bias_choice, .help = "what the decoder's last bias begins with: init: as the others; mean: the logit of the\nmean training image"},
    {"posterior-scale", "NAME", TRAIN | EXPLAIN, 0,   true,  CHOICE,  AT(posterior_scale), .choice = tp_posterior_scale_name, .help = "what the encoder's second head gives: logvar: log σ²; softplus: σ, behind a softplus"},
    {"latent-dim", "N",    TRAIN | EXPLAIN,           0,        true,  INTEGER, AT(latent_dim), 1, MILLION, .help = "latent dimensions"},
    {"likelihood", "NAME", TRAIN | EXPLAIN,           0,        true,  CHOICE,  AT(likelihood), .choice = tp_likelihood_name, .help = "of a pixel: bernoulli, gaussian with variance 1, gaussian_learned or categorical, as far as\nthe model can have it (default: the first one that 'models' lists)"},
    {"levels",     "N",    TRAIN | EXPLAIN,           0,        true,  INTEGER, AT(levels),     2, 256, .help = "grey levels of the categorical likelihood"},
    {"beta",       "X",    TRAIN | EXPLAIN,           0,        true,  NUMBER,  AT(beta),       0, 1e6, .help = "weight of the KL term"},
    {"epochs",     "N",    TRAIN | RESUME,  0,        true,  INTEGER, AT(epochs),     1, MILLION, .help = "passes over the training images"},
    {"keep",       "NAME", TRAIN,           0,        true,  CHOICE,  AT(keep),       .choice = keep_choice, .help = "the weights that the model is left with: of the last epoch, or of the best: that with the\nlowest validation loss, where the KL has its whole weight"},
    {"patience",   "N",    TRAIN,           0,        true,  INTEGER, AT(patience),   0, MILLION, .help = "stop behind N epochs without a lower validation loss, a warm-up not counted; 0: never"},
    {"batch-size", "N",    TRAIN,           0,        true,  INTEGER, AT(batch_size), 1, MILLION, .help = "images in a step"},
    {"lr",         "X",    TRAIN | EXPLAIN,           0,        true,  NUMBER,  AT(lr),         0, 1000, .help = "learning rate"},
    {"optimizer",  "NAME,…", TRAIN | EXPLAIN, 0, true, OPTIMIZER, AT(optimizer), -1e300, 1e300, .help = "sgd, adam, adamw, rmsprop or adagrad with fields and defaults of PyTorch's, as\nadam,beta1=0.99,eps=1e-4"},
    {"schedule",   "NAME,…", TRAIN | EXPLAIN, 0, true, SCHEDULE, AT(schedule), -1e300, 1e300, .help = "of the learning rate by epochs, of which the first is 0: constant, step, multistep,\nexponential, cosine or linear, as multistep,gamma=0.1,milestones=200+350"},
    {"seed",       "N",    TRAIN | EXPLAIN, 0,        true,  SEED,    AT(seed),       .help = "of initial weights, order and noise"},
    {"checkpoint-every", "N", TRAIN | RESUME, 0,      true,  INTEGER, AT(checkpoint_every), 0, 1e9, .help = "steps between checkpoints within an epoch; 0: one at the end of each epoch"},
    {"trap",       "",     TRAIN | RESUME,  0,        false, SWITCH,  AT(trap),       .help = "stop at the first operation that gives NaN or an infinity, and name it"},
    {"split",      "NAME", EVAL | AIS | WITH_IMAGES | REPORT, 0,        false, TEXT,    AT(split),      .help = "which images: train, test, … (default: the test images)"},
    {"importance", "K",    EVAL | REPORT,   0,        false, INTEGER, AT(importance), 1, MILLION, .help = "measures −log p(x), too, from so many samples of q(z|x) for each image"},
    {"table",      "",     EVAL,            0,        false, SWITCH,  AT(table),      .help = "a table for people in place of JSON"},
    {"importance", "K",    AIS,             0,        false, INTEGER, AT(importance), 1, MILLION, .help = "estimates log p(x) of the same images, too, from so many samples of q(z|x) for each"},
    {"count",      "N",    AIS,             0,        false, INTEGER, AT(count),      1, 65536, .help = "images, from all over the split (100, or all if there are fewer)"},
    {"simulate",   "N",    AIS,             0,        false, INTEGER, AT(simulate),   1, 65536, .help = "in place of images so many that the model draws: of them log p(x) is bounded from above, too"},
    {"steps",      "T",    AIS,             0,        false, INTEGER, AT(steps),      1, 1e9, .help = "temperatures between p(z) and p(z|x); the more, the tighter (1000)"},
    {"chains",     "N",    AIS,             0,        false, INTEGER, AT(chains),     1, 4096, .help = "chains for each image (16)"},
    {"leapfrog",   "N",    AIS,             0,        false, INTEGER, AT(leapfrog),   1, MILLION, .help = "leapfrog steps between two temperatures (10)"},
    {"pilot",      "N",    AIS,             0,        false, INTEGER, AT(pilot),      0, 4096, .help = "chains for each image that find the step sizes before (4); 0: all adapt them on their way,\nwhich is quicker and not exact"},
    {"start",      "NAME", AIS,             0,        false, CHOICE,  AT(start),      .choice = ais_start_name, .help = "where chains start: prior, or the encoder's posterior, which is nearer (prior)"},
    {"count",      "N",    SAMPLE,          0,        false, INTEGER, AT(count),      1, 16384, .help = "pictures (default: 64; of a model with labels whole rows of all classes)"},
    {"seed",       "N",    SAMPLE | AIS,    0,        false, SEED,    AT(seed),       .help = "of the draws (default: that of the run)"},
    {"draws",      "N",    RECONSTRUCT,     0,        false, INTEGER, AT(draws),      0, 1000, .help = "rows below, each from a draw z ~ q(z|x) instead of the mean of q (0)"},
    {"image",      "N",    TRAVERSE,        0,        false, INTEGER, AT(image),      0, 1e15, .help = "number of the image, from 0, whose code is held (default: the mean of the prior)"},
    {"dims",       "N,…",  TRAVERSE,        0,        false, INDICES, AT(dims),       0, MILLION, .help = "latent dimensions, from 0: a row each (default: the active ones, most KL first)"},
    {"dims",       "N,N",  SCATTER,         0,        false, INDICES, AT(dims),       0, MILLION, .help = "the two latent dimensions, from 0 (default: those with most KL)"},
    {"count",      "N",    TRAVERSE,        0,        false, INTEGER, AT(count),      1, INDICES_MOST, .help = "rows (default: 10, or as many as are active)"},
    {"count",      "N",    INTERPOLATE,     0,        false, INTEGER, AT(count),      1, 1024, .help = "pairs of images, a row each (8)"},
    {"count",      "N",    SCATTER,         0,        false, INTEGER, AT(count),      1, MILLION, .help = "images, spread over all there are (2000)"},
    {"steps",      "N",    TRAVERSE | INTERPOLATE, 0, false, INTEGER, AT(steps),      2, 256, .help = "pictures in a row (9)"},
    {"spherical",  "",     INTERPOLATE,     0,        false, SWITCH,  AT(spherical),  .help = "along an arc around 0 instead of a straight line"},
    {"terms",      "NAME,…", CURVES,        0,        false, TEXT,    AT(terms),      .help = "which curves: loss, bound (the loss, negated), recon, kl, active_units, …: what metrics.jsonl\nhas without train_, valid_ and test_ (default: all but bound)"},
    {"x",          "NAME", CURVES,          0,        false, CHOICE,  AT(x),          .choice = curves_x_name, .help = "what stands on the horizontal axis: epochs, steps, or samples: training images seen (epochs)"},
    {"log",        "",     CURVES,          0,        false, SWITCH,  AT(log),        .help = "a logarithmic horizontal axis"},
    {"names",      "",     MODELS,          0,        false, SWITCH,  AT(names),      .help = "names only, one a line"},
    {"threads",    "N",    ~(unsigned)(MODELS | CURVES),             0,        true,  INTEGER, AT(threads),    0, 256, .help = "threads; 0: one for each core. Results do not depend on it"},
    {"resume",     "DIR",  TRAIN | RESUME,  0,        false, TEXT,    AT(resume),     .help = "folder of a run that was stopped: goes on there as if it had not been; with a larger\n--epochs also behind the end. Its settings stay"},
    {"after",      "N",    EXPLAIN | EXPLAIN_RUN, 0,  false, INTEGER, AT(after),      0, 1e9, .help = "steps to train before (0)"},
    {"batch-size", "N",    EXPLAIN | EXPLAIN_RUN, 0,  false, INTEGER, AT(images),     1, MILLION, .help = "images of the minibatch that are looked at (4)"},
    {"at",         "NAME[i,j]", EXPLAIN | EXPLAIN_RUN, 0, false, TEXT, AT(at),        .help = "one number of a parameter or a value, as encoder.0.weight[2,1] or z[0,1]: every path from it\nto the loss, and their sum, instead of the whole"},
    {"format",     "NAME", EXPLAIN | EXPLAIN_RUN, 0,  false, CHOICE,  AT(format),     .choice = format_name, .help = "text, markdown, latex, html: the derivation; dot, mermaid, svg: the graph (default: what the\nsuffix of --out says, .txt .md .tex .html .dot .mmd .svg, else text)"},
    {"gradient",   "NAME", EXPLAIN | EXPLAIN_RUN, 0,  false, CHOICE,  AT(gradient),   .choice = gradient_name, .help = "how the gradient by h is written: bar: h with a bar; partial: ∂L/∂h; delta: δh (bar)"},
    {"symbols",    "NAME=TEXT,…", EXPLAIN | EXPLAIN_RUN, 0, false, TEXT, AT(symbols), .help = "how values and parameters are written, as mu=m,encoder.0.weight=W₁; in LaTeX and Markdown\nTEXT is TeX"},
    {"composed",   "",     EXPLAIN | EXPLAIN_RUN, 0,  false, SWITCH,  AT(composed),   .help = "no fused rules: each step by the operations it is made of"},
    {"unfold",     "",     EXPLAIN | EXPLAIN_RUN, 0,  false, SWITCH,  AT(unfold),     .help = "graphs with every operation, instead of a box for each part of the model"},
    {"interactive", "",    EXPLAIN | EXPLAIN_RUN, 0,  false, SWITCH,  AT(interactive), .help = "step by step: reads commands from standard input; 'help' lists them"},
    {"out",        "DIR",  TRAIN,           TRAIN,    false, TEXT,    AT(out),        .help = "new or empty folder for the results, unless --resume is given"},
    {"out",        "FILE", PICTURES,        PICTURES, false, TEXT,    AT(out),        .help = "picture to write (PNG)"},
    {"out",        "FILE", SCATTER | CURVES, SCATTER | CURVES, false, TEXT, AT(out),  .help = "picture to write (SVG)"},
    {"out",        "FILE", REPORT,          0,        false, TEXT,    AT(out),        .help = "page to write (default: report.html in the folder of the run)"},
    {"out",        "FILE", EXPLAIN | EXPLAIN_RUN, 0,  false, TEXT,    AT(out),        .help = "file to write; it may replace one of its kind (default: standard output)"},
};
/* clang-format on */
enum { FLAGS = sizeof flags / sizeof *flags };
const int flag_count = FLAGS;

/* c is one command: RESUME is none. */
static bool takes(command c, const flag *f)
{
    return f->value != NULL && (f->commands & (unsigned)c) != 0;
}

/* --- command line ------------------------------------------------------------------------------- */

static const flag *find_flag(command c, const char *name, size_t n, nearest *near)
{
    for (int i = 0; i < FLAGS; i++)
        if (takes(c, &flags[i])) {
            if (strncmp(flags[i].name, name, n) == 0 && flags[i].name[n] == '\0')
                return &flags[i];
            nearest_offer(near, flags[i].name);
        }
    nearest_offer(near, "help");
    return NULL;
}

static int set(options *o, const flag *f, const char *text)
{
    if (flag_set(o, f, text) == TP_OK)
        return EXIT_GOOD;
    tp_fail_prefix("--%s: ", f->name);
    return complain_error(EXIT_USAGE);
}

/* Matches arguments to rows of the table: text[row] becomes the value; what may be
 * there several times goes to *o at once. */
static int match(options *o, command c, const char *name, int argc, char **argv,
                 const char *text[FLAGS])
{
    int code;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            o->help = true;
            return EXIT_GOOD;
        }
        if (strncmp(arg, "--", 2) != 0 || arg[2] == '\0')
            return complain(EXIT_USAGE, "%s takes flags only; '%.*s' is none", name, PATH_MAX_GIVEN,
                            arg);
        size_t n = strcspn(arg + 2, "=");
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)(n < 63 ? n : 63), arg + 2);
        nearest near = nearest_to(word);
        const flag *f = find_flag(c, arg + 2, n, &near);
        if (f == NULL && near.best != NULL)
            return complain(EXIT_USAGE, "%s has no flag --%s; did you mean --%s?", name, word,
                            near.best);
        if (f == NULL)
            return complain(EXIT_USAGE, "%s has no flag --%s; see '%s %s --help'", name, word,
                            o->program, name);
        if (text[f - flags] != NULL && f->kind != PATHS)
            return complain(EXIT_USAGE, "--%s is given twice", f->name);
        if (f->kind == SWITCH && arg[2 + n] == '=')
            return complain(EXIT_USAGE, "--%s takes no value", f->name);
        if (f->kind == SWITCH)
            text[f - flags] = "";
        else if (arg[2 + n] == '=')
            text[f - flags] = arg + 3 + n;
        else if (i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0)
            text[f - flags] = argv[++i];
        else
            return complain(EXIT_USAGE, "--%s needs a value: --%s %s", f->name, f->name, f->value);
        if (f->kind == PATHS && (code = set(o, f, text[f - flags])) != EXIT_GOOD)
            return code;
    }
    return EXIT_GOOD;
}

static int set_all(options *o, const char *const text[FLAGS])
{
    int code = EXIT_GOOD;
    for (int i = 0; i < FLAGS && code == EXIT_GOOD; i++)
        if (text[i] != NULL && flags[i].kind != PATHS)
            code = set(o, &flags[i], text[i]);
    return code;
}

/* The config.json that a call names. */
static const char *config_path(const options *o, char path[PATH_SIZE])
{
    const char *folder = *o->resume != '\0' ? o->resume : o->run;
    snprintf(path, PATH_SIZE, *folder != '\0' ? "%s/config.json" : "%s",
             *folder != '\0' ? folder : o->config);
    return path;
}

/* Lays the settings of a config.json over its preset, or that of the flags. */
static int read_config(options *o, const options *given, bool preset_given)
{
    char path[PATH_SIZE];
    bool named;
    options file = *o;
    config_path(given, path);
    if (config_read(&file, path, &named) != TP_OK)
        return complain_error(EXIT_BAD);
    if (named && preset_given && file.preset != given->preset)
        return complain(EXIT_USAGE,
                        "--preset %s: %s is of preset %s and settles everything; "
                        "give one of the two",
                        preset_name((int)given->preset), path, preset_name((int)file.preset));
    *o = preset_options((int)file.preset);
    o->program = given->program;
    return config_read(o, path, &named) == TP_OK ? EXIT_GOOD : complain_error(EXIT_BAD);
}

/* Is a required flag missing, or one there that a run which goes on cannot take? */
static int check_given(const options *given, command c, const char *name,
                       const char *const text[FLAGS])
{
    bool resume = *given->resume != '\0';
    for (int i = 0; i < FLAGS; i++) {
        const flag *f = &flags[i];
        if (!takes(c, f))
            continue;
        if (!resume && (f->required & (unsigned)c) != 0 && text[i] == NULL)
            return complain(EXIT_USAGE, "%s needs --%s %s: %s", name, f->name, f->value, f->help);
        if (c == EXPLAIN && *given->run != '\0' && text[i] != NULL &&
            (f->commands & EXPLAIN_RUN) == 0)
            return complain(EXIT_USAGE, "--%s: the run has its settings; without --run it is free",
                            f->name);
        if (resume && text[i] != NULL && (f->commands & RESUME) == 0)
            return complain(
                EXIT_USAGE,
                "--%s: a run that goes on keeps its folder and its settings, all but --data, "
                "--epochs, --checkpoint-every, --trap and --threads",
                f->name);
    }
    return EXIT_GOOD;
}

/* What nobody has said becomes what holds for the model. Is there anything that it cannot have? */
static int settle(options *o, const char *const text[FLAGS])
{
    tp_model_config c;
    tp_status s = options_model(o, &c);
    for (int i = 0; i < FLAGS && s == TP_OK; i++)
        if (text[i] != NULL && flags[i].offset == AT(levels) && c.likelihood != TP_CATEGORICAL)
            s = tp_fail(TP_EARG,
                        "--levels: the %s likelihood has none; --likelihood categorical has",
                        tp_likelihood_name((int)c.likelihood));
    if (s != TP_OK) {
        char path[PATH_SIZE];
        bool said = *o->config == '\0'; /* by flags, and not by a file */
        for (int i = 0; i < FLAGS; i++)
            said |= text[i] != NULL && flags[i].config;
        said = said && *o->run == '\0' && *o->resume == '\0';
        if (!said)
            tp_fail_prefix("%s: ", config_path(o, path));
        return complain_error(said ? EXIT_USAGE : EXIT_BAD);
    }
    if (o->schedule.kind != TP_LR_constant && o->lr == 0)
        return complain(EXIT_USAGE, "--lr 0: a schedule scales it: more than 0 needed");
    const tp_model_option *option = tp_model_types[o->model]->options;
    o->likelihood = c.likelihood;
    o->hidden.n = c.hidden_layers;
    memcpy(o->hidden.size, c.hidden, sizeof o->hidden.size);
    o->set = (option_list){0};
    for (int i = 0; option != NULL && i < TP_MODEL_OPTIONS && option[i].name != NULL; i++) {
        snprintf(o->set.item[i].name, NAME_SIZE, "%s", option[i].name);
        o->set.item[i].value = c.option[i];
        o->set.n++;
    }
    return EXIT_GOOD;
}

int options_read(options *o, command c, const char *name, int argc, char **argv)
{
    const char *text[FLAGS] = {0};
    const char *program = o->program;
    *o = preset_options(0);
    o->program = program;
    int code = match(o, c, name, argc, argv, text);
    if (code != EXIT_GOOD || o->help)
        return code;
    options given = *o;
    if ((code = set_all(&given, text)) != EXIT_GOOD)
        return code;
    if ((code = check_given(&given, c, name, text)) != EXIT_GOOD)
        return code;
    bool preset_given = false, model_given = false;
    for (int i = 0; i < FLAGS; i++) {
        preset_given |= text[i] != NULL && flags[i].offset == AT(preset);
        model_given |= text[i] != NULL && flags[i].offset == AT(model);
    }
    *o = preset_options((int)given.preset);
    o->program = program;
    o->runs = given.runs;
    if (*given.config != '\0' || *given.run != '\0' || *given.resume != '\0')
        code = read_config(o, &given, preset_given);
    if (code == EXIT_GOOD && model_given && o->model != given.model)
        o->set = (option_list){0}; /* what the file says of another model */
    if (code == EXIT_GOOD)
        code = set_all(o, text);
    if (code == EXIT_GOOD)
        code = settle(o, text);
    if (*o->resume != '\0')
        snprintf(o->out, sizeof o->out, "%s", o->resume);
    return code;
}
