/* CSV text. */
#include "numbers.h"

PyDoc_STRVAR(read_floats_doc, "read_floats(buffer, starts, ends, values, left)\n\n"
                              "values[i] = the number buffer[starts[i]:ends[i]], sign of zero included. Fields that are\n"
                              "not plainly one are numbered in left; returns how many.");

static PyObject *read_floats(PyObject *self, PyObject *args)
{
    PyObject *objects[5];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOO", &objects[0], &objects[1], &objects[2], &objects[3], &objects[4]))
        return NULL;
    static const Py_ssize_t sizes[5] = {1, 8, 8, 8, 8};
    Buffer b[5] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 5; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k >= 3))
            goto done;
    const char *buffer = b[0].view.buf, *stop = buffer + items(&b[0]);
    const int64_t *starts = b[1].view.buf, *ends = b[2].view.buf;
    double *values = b[3].view.buf;
    int64_t *left = b[4].view.buf;
    Py_ssize_t n = items(&b[1]), n_left = 0;
    if (items(&b[2]) != n || items(&b[3]) != n || items(&b[4]) != n) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (starts[i] < 0 || starts[i] > ends[i] || ends[i] > items(&b[0])) {
            PyErr_SetString(PyExc_ValueError, "a field is out of range");
            goto done;
        }
        const char *first = buffer + starts[i], *last = buffer + ends[i], *end = NULL;
        /* what follows the field must not read like more of the number */
        if (first < last && last < stop && !is_digit((unsigned char)*last) && !memchr(".eE+-", *last, 5))
            values[i] = read_value(first, stop, &end);
        if (end != last)
            left[n_left++] = i;
    }
    result = PyLong_FromSsize_t(n_left);
done:
    release(b, 5);
    return result;
}

PyDoc_STRVAR(read_csv_doc,
             "read_csv(text, delimiter, n_columns, values, ends, left)\n\n"
             "Read whole lines of n_columns fields: the number that each field plainly is, NaN where it is something\n"
             "else, and where it ends. Fields of the second kind are numbered in left. Returns how many rows and how\n"
             "many such fields there are; or None if anything is unusual: quotes, bytes outside ASCII, carriage returns,\n"
             "blanks around a field, empty lines, or another number of fields.");

static PyObject *read_csv(PyObject *self, PyObject *args)
{
    PyObject *objects[3];
    Py_buffer whole;
    Py_ssize_t n_columns, n_rows = 0, n_left = 0;
    int delimiter;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*inOOO", &whole, &delimiter, &n_columns, &objects[0], &objects[1], &objects[2]))
        return NULL;
    static const Py_ssize_t sizes[3] = {8, 8, 8};
    Buffer out[3] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 3; k++)
        if (!acquire(objects[k], &out[k], sizes[k], 1))
            goto done;
    double *values = out[0].view.buf;
    int64_t *ends = out[1].view.buf, *left = out[2].view.buf;
    Py_ssize_t room = items(&out[0]);
    if (n_columns < 1 || items(&out[1]) != room || items(&out[2]) != room) {
        PyErr_SetString(PyExc_ValueError, "arrays or numbers do not fit together");
        goto done;
    }
    const char *text = whole.buf, *p = text, *stop = text + whole.len;
    if (p == stop || stop[-1] != '\n')
        goto unusual;
    while (p < stop) { /* a line; its line feed ends every loop below */
        Py_ssize_t at = n_rows++ * n_columns;
        if (*p == '\n' || at > room - n_columns)
            goto unusual;
        for (Py_ssize_t k = 0; k < n_columns; k++, at++) {
            const char behind = k == n_columns - 1 ? '\n' : (char)delimiter, *end;
            values[at] = read_value(p, stop, &end);
            if (!end || *end != behind) {
                for (end = p; *end != (char)delimiter && *end != '\n'; end++)
                    if (*end == '"' || *end == '\r' || !*end || (unsigned char)*end >= 0x80)
                        goto unusual;
                if (*end != behind || (end > p && (is_blank(*p) || is_blank(end[-1]))))
                    goto unusual;
                values[at] = NAN;
                left[n_left++] = at;
            }
            ends[at] = end - text;
            p = end + 1;
        }
    }
    result = Py_BuildValue("nn", n_rows, n_left);
    goto done;
unusual:
    result = Py_None;
    Py_INCREF(result);
done:
    release(out, 3);
    PyBuffer_Release(&whole);
    return result;
}

PyMethodDef csv_methods[] = {
    {"read_floats", read_floats, METH_VARARGS, read_floats_doc},
    {"read_csv", read_csv, METH_VARARGS, read_csv_doc},
    {NULL, NULL, 0, NULL},
};
