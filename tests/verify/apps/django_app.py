"""Django REST framework with simplejwt and drf-spectacular; one fault on demand.

    python django_app.py PORT FAULT     FAULT: one of FAULTS, or "clean"

The database is the file `django.db` of the current folder.
"""

import os
import sys
from datetime import timedelta
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

import django
from django.conf import settings

FAULTS = (
    "open-route",
    "wrong-scope",
    "missing-401",
    "head-bypass",
    "foreign-object",
    "living-token",
    "refresh-as-access",
)
FAULT = sys.argv[-1]
SCOPES = "tasks:read tasks:write"
TOKEN_CLASSES = ["rest_framework_simplejwt.tokens.AccessToken"]
if FAULT == "refresh-as-access":
    TOKEN_CLASSES.append("rest_framework_simplejwt.tokens.UntypedToken")

settings.configure(
    SECRET_KEY="a secret of the test that is long enough",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "django.db"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_simplejwt",
        "drf_spectacular",
    ],
    REST_FRAMEWORK={"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"},
    SIMPLE_JWT={"AUTH_TOKEN_CLASSES": TOKEN_CLASSES, "JTI_CLAIM": "jti"},
    SPECTACULAR_SETTINGS={"SERVE_INCLUDE_SCHEMA": False, "TITLE": "Tasks", "VERSION": "1"},
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.urls import path  # noqa: E402
from drf_spectacular.extensions import OpenApiAuthenticationExtension  # noqa: E402
from drf_spectacular.utils import OpenApiResponse, extend_schema  # noqa: E402
from drf_spectacular.views import SpectacularJSONAPIView  # noqa: E402
from rest_framework import generics, permissions, serializers  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework_simplejwt.authentication import JWTAuthentication  # noqa: E402
from rest_framework_simplejwt.exceptions import InvalidToken  # noqa: E402
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken  # noqa: E402
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView  # noqa: E402


class Task(models.Model):
    owner = models.ForeignKey(User, on_delete=models.CASCADE)
    title = models.CharField(max_length=200)

    class Meta:
        app_label = "tasks"


class SignedOut(models.Model):
    jti = models.CharField(max_length=100, primary_key=True)

    class Meta:
        app_label = "tasks"


class Authentication(JWTAuthentication):
    """simplejwt's own, but access tokens that signed out are refused."""

    def get_validated_token(self, raw_token):
        token = super().get_validated_token(raw_token)
        signed_out = SignedOut.objects.filter(jti=token["jti"]).exists()
        if FAULT != "living-token" and signed_out:
            raise InvalidToken("signed out")
        return token


class AuthenticationDocument(OpenApiAuthenticationExtension):
    target_class = Authentication
    name = "jwt"

    def get_security_definition(self, auto_schema):
        return {"type": "http", "scheme": "bearer"}


def with_scope(scope):
    """Return a permission: a token with this scope."""

    class HasScope(permissions.BasePermission):
        def has_permission(self, request, view):
            if FAULT == "head-bypass" and request.method == "HEAD":
                return True
            return bool(request.auth) and scope in request.auth.get("scope", "").split()

    return HasScope()


class TaskSerializer(serializers.ModelSerializer):
    class Meta:
        model = Task
        fields = ("id", "title")


def documented(scope, success, *, complete=True):
    """Describe who may call an operation."""
    responses = {**success, 403: OpenApiResponse(description="No right")}
    if complete:
        responses[401] = OpenApiResponse(description="No token")
    return extend_schema(auth=[{"jwt": [scope] if scope else []}], responses=responses)


class Scoped:
    authentication_classes = [Authentication]
    serializer_class = TaskSerializer

    def get_permissions(self):
        if FAULT == "open-route" and self.request.method == "DELETE":
            return [permissions.AllowAny()]
        if self.request.method in {"GET", "HEAD"}:
            return [with_scope("tasks:write" if FAULT == "wrong-scope" else "tasks:read")]
        return [with_scope("tasks:write")]

    def get_queryset(self):
        everybody = FAULT == "foreign-object" or not self.request.user.is_authenticated
        found = Task.objects.order_by("id")
        return found if everybody else found.filter(owner=self.request.user)


class Tasks(Scoped, generics.ListCreateAPIView):
    @documented("tasks:read", {200: TaskSerializer(many=True)}, complete=FAULT != "missing-401")
    def get(self, request):
        return super().get(request)

    @documented("tasks:write", {201: TaskSerializer})
    def post(self, request):
        return super().post(request)

    def perform_create(self, serializer):
        serializer.save(owner=self.request.user)


class OneTask(Scoped, generics.RetrieveUpdateDestroyAPIView):
    http_method_names = ["get", "head", "put", "delete", "options"]

    @documented("tasks:read", {200: TaskSerializer})
    def get(self, request, pk):
        return super().get(request, pk)

    @documented("tasks:write", {200: TaskSerializer})
    def put(self, request, pk):
        return super().put(request, pk)

    @documented("tasks:write", {204: None})
    def delete(self, request, pk):
        return super().delete(request, pk)


class LogOut(APIView):
    authentication_classes = [Authentication]
    permission_classes = [permissions.IsAuthenticated]
    serializer_class = None

    @extend_schema(request=None)
    @documented(None, {204: None})
    def post(self, request):
        SignedOut.objects.get_or_create(jti=request.auth["jti"])
        return Response(status=204)


urlpatterns = [
    path("openapi.json", SpectacularJSONAPIView.as_view()),
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/token/refresh/", TokenRefreshView.as_view()),
    path("api/logout/", LogOut.as_view()),
    path("api/tasks/", Tasks.as_view()),
    path("api/tasks/<int:pk>/", OneTask.as_view()),
]


class ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def create_database():
    """Create the tables and both users."""
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Task)
        editor.create_model(SignedOut)
    for name in ("ada", "eve"):
        User.objects.create_user(name, password=f"{name}-password")


if __name__ == "__main__":
    create_database()
    application = get_wsgi_application()
    make_server("127.0.0.1", int(sys.argv[1]), application, ThreadingServer).serve_forever()
