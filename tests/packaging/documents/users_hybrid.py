from sqlalchemy.ext.hybrid import hybrid_property
