"""Errors of this application, which are answered and documented like those of the layer."""

from itemsapi import Problem


class FileTypeRefused(Problem):
    """A file has a media type that is not kept here."""

    status = 415
    code = "file_type_refused"
    title = "Files of this type are not kept here"
    advice = "Send a PDF, PNG or plain text file."
